"""The line that states an error, in the output of real programs."""

from __future__ import annotations

import pytest

from gitorch.model.run.failure_reason import failure_reason

# The line that is expected is marked by a `»` in front of it. A line after it that is marked as
# well belongs to the reason.
OUTPUTS = {
    "python": """
Traceback (most recent call last):
  File "/tmp/train.py", line 3, in <module>
    config["rate"]
    ~~~~~~^^^^^^^^
»KeyError: 'rate'
wandb: You can sync this run to the cloud by running:
wandb: wandb sync /tmp/wandb/offline-run-1
""",
    "python, chained": """
Traceback (most recent call last):
  File "a.py", line 2, in <module>
KeyError: 'a'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 4, in <module>
    raise Broken("the model")
»__main__.Broken: the model
""",
    "python, with an exception that is ignored later": """
Traceback (most recent call last):
  File "a.py", line 2, in <module>
»ValueError: the shapes differ
Exception ignored in: <function Pool.__del__ at 0x7f>
Traceback (most recent call last):
  File "pool.py", line 268, in __del__
TypeError: 'NoneType' object is not callable
""",
    "python, a group of exceptions": """
starting
  + Exception Group Traceback (most recent call last):
  |   File "a.py", line 1, in <module>
»  | ExceptionGroup: two workers (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "a.py", line 1, in <module>
    | ValueError: one
    +---------------- 2 ----------------
    | TypeError: two
    +------------------------------------
""",
    "cmake": """
»CMake Error at CMakeLists.txt:3 (find_package):
»  By not providing "FindX.cmake" this project has asked for it.


-- Configuring incomplete, errors occurred!
See also "/tmp/CMakeFiles/CMakeOutput.log".
""",
    "torchrun": """
[rank0]: Traceback (most recent call last):
[rank0]:   File "train.py", line 10, in <module>
[rank0]:     loss.backward()
»[rank0]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.
""",
    "hydra": """
Error executing job with overrides: ['lr=0.1']
Traceback (most recent call last):
  File "train.py", line 8, in main
    raise ValueError("lr is too large")
»ValueError: lr is too large

Set the environment variable HYDRA_FULL_ERROR=1 for a complete stack trace.
""",
    "R": """
> x <- f(1)
»Error in f(1) : object 'z' not found
Calls: f
Execution halted
""",
    "R, in two lines": """
»Error in read.table(file = file, header = header, sep = sep, quote = quote,  :
»  no lines available in input
Calls: read.csv -> read.table
Execution halted
""",
    "node": """
/srv/app.js:2
  config.rate.toFixed();
              ^

»TypeError: Cannot read properties of undefined (reading 'toFixed')
    at Object.<anonymous> (/srv/app.js:2:15)
    at Module._compile (node:internal/modules/cjs/loader:1256:14)

Node.js v18.17.1
""",
    "node, a module": """
node:internal/modules/cjs/loader:1080
  throw err;
  ^

»Error: Cannot find module 'left-pad'
Require stack:
- /srv/app.js
    at Module._resolveFilename (node:internal/modules/cjs/loader:1077:15) {
  code: 'MODULE_NOT_FOUND',
  requireStack: [ '/srv/app.js' ]
}

Node.js v18.17.1
""",
    "gcc by make": """
gcc -c sim.c -o sim.o
sim.c: In function 'main':
»sim.c:3:12: error: expected ';' before '}' token
    3 |   return 0
      |            ^
      |            ;
make: *** [Makefile:2: sim.o] Error 1
""",
    "the linker": """
/usr/bin/ld: /tmp/cc1.o: in function `main':
»sim.c:(.text+0x5): undefined reference to `solve'
collect2: error: ld returned 1 exit status
make: *** [Makefile:5: sim] Error 1
""",
    "make": """
./simulate --steps 10
»make: *** [Makefile:2: all] Error 3
""",
    "make without a rule": """
»make: *** No rule to make target 'all'.  Stop.
""",
    "rust": """
»thread 'main' panicked at src/main.rs:3:19:
»index out of bounds: the len is 3 but the index is 7
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
""",
    "rust, before 1.73": """
»thread 'main' panicked at 'no data', src/main.rs:2:5
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
""",
    "rustc": """
»error[E0308]: mismatched types
 --> src/main.rs:2:18
  |
2 |     let x: i32 = "a";
  |                  ^^^ expected `i32`, found `&str`

For more information about this error, try `rustc --explain E0308`.
error: could not compile `sim` (bin "sim") due to 1 previous error
""",
    "go": """
»panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.main()
        /srv/main.go:6 +0x1d
exit status 2
""",
    "julia": """
»ERROR: LoadError: UndefVarError: `x` not defined
Stacktrace:
 [1] top-level scope
   @ /srv/sim.jl:1
in expression starting at /srv/sim.jl:1
""",
    "java": """
Exception in thread "main" java.lang.RuntimeException: cannot start
        at Main.main(Main.java:5)
»Caused by: java.io.FileNotFoundException: data.csv (No such file or directory)
        at java.base/java.io.FileInputStream.open0(Native Method)
        ... 1 more
""",
    "C++": """
terminate called after throwing an instance of 'std::runtime_error'
»  what():  the matrix is singular
Aborted (core dumped)
""",
    "bash": """
»bash: line 1: trian: command not found
""",
    "dash": """
»sh: 1: trian: not found
""",
    "a missing file": """
»cat: data.csv: No such file or directory
""",
    "perl": """
»Illegal division by zero at sim.pl line 3.
""",
    "git": """
»fatal: not a git repository (or any of the parent directories): .git
""",
    "curl": """
  % Total    % Received % Xferd
»curl: (6) Could not resolve host: example.invalid
""",
    "octave": """
»error: 'x' undefined
error: called from
    sim at line 1 column 1
""",
    "numbers are no errors": """
epoch 1 error: 0.25
epoch 2 error: 0.125
»the loss has stopped to fall
""",
    "nothing that is known": """
step 1
»giving up

""",
    "only a note": """
»note: see the manual
""",
}


@pytest.mark.parametrize("program", OUTPUTS)
def test_the_line_that_states_the_error(program: str) -> None:
    marked = OUTPUTS[program].strip("\n").split("\n")
    lines = []
    expected = []
    for line in marked:
        if line.startswith("»"):
            line = line.removeprefix("»")
            expected.append(line.strip().removeprefix("| "))
        lines.append(line)
    assert failure_reason(lines) == " ".join(expected)


def test_a_log_without_text_has_no_reason() -> None:
    assert failure_reason([]) is None
    assert failure_reason(["", "  "]) is None


def test_an_error_long_before_the_end_is_not_the_reason() -> None:
    lines = ["error: an epoch is skipped", *["step"] * 100, "giving up"]
    assert failure_reason(lines) == "giving up"


def test_a_long_line_is_cut() -> None:
    assert failure_reason(["error: " + "x" * 100_000]) == "error: " + "x" * 493
