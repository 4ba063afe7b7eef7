"""Pure values and rules: no input or output, no clock, no environment. Everything may import it, it imports nothing.

The words, one meaning each:

config            one YAML file.
sweep             the part of a config that multiplies it; each combination of values that it comes to is a *point*.
params            the keys of a config that are not gitorch's own, resolved; *swept* are those that the sweep varies.
pin               commit oid + tree oid, and how it came about: clean HEAD, a named revision, a snapshot.
run               one config with one set of params at one pin. Has an id. The durable account of it is its *record*.
task              one unit in a run (`id` + `method` or `command`). What the queue holds is tasks.
attempt           one try at a task; it ends in an *outcome*.
outcome           succeeded, exit code, signal, timed out, could not start, lost, …
status            WAITING, RUNNING, COMPLETE, ERROR, FAILED, HOLD.
queue             the SQLite file holding live runs and tasks only.
row               what lists and selections need of a run's record.
index             the SQLite file holding all rows; the *catalog* is the index with the queue laid over it.
worker            what claims a task and sees an attempt through.
engine            who executes an attempt.
key               of the cache: a hash of all that a task's results depend on; another run that has it can *reuse* them.
worktree          the git worktree a run executes in.
output directory  where its tasks write.
artifact          a kept output file; what `discard` names is left out.
data              what the files of the *inputs* hold, by SHA-256.
results branch    the orphan branch the records are committed to.
workspace         the directory that holds worktrees and live outputs.
"""
