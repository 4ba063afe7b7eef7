"""The README.md on the results branch, for people who find the branch and have only git."""

README = """\
# Results of experiments

This branch is written by gitorch. It shares no history with the code: each commit records what happened to one or more
runs of experiments. You need nothing but git to read it.

## What is where

    runs/<first 2 digits of id>/<id>/   one run, that is one config at one commit of the code
        record.json                     everything about it: status, commit, parameters, metrics, tasks, outputs
        config.yaml                     the config, byte for byte as it was written
        bases/                          what it extends, likewise
        tasks/<task>/<attempt>/         each attempt at a task: attempt.json, log.txt, events.jsonl,
                                        series.jsonl (the series of files with metrics, reduced)
        outputs/                        the files it left
    killed/                             the ids of runs that were removed on purpose
    environments/                       what the runs ran with: interpreter, packages, machine. A record names its own by
                                        `environment_sha256`

Files above a megabyte or so are Git LFS pointers; the run's own .gitattributes names them. In `outputs/` a name that
git would take for its own, as `.gitignore`, has a `%` put before it.

## Reading it with plain git

With `gitorch/results` as the name of this branch and `3f/3f2a5c8e91d0` as a run:

    git log gitorch/results                                            what happened, newest first
    git log gitorch/results -- runs/3f/3f2a5c8e91d0                    the history of one run
    git show gitorch/results:runs/3f/3f2a5c8e91d0/record.json          all about it
    git show gitorch/results:runs/3f/3f2a5c8e91d0/tasks/train/1/log.txt     what a task printed
    git show gitorch/results:environments/5b/5b0e….json                the environment with this digest
    git diff gitorch/results:runs/3f/3f2a5c8e91d0 gitorch/results:runs/a1/a1b2c3d4e5f6      two runs compared
    git log gitorch/results --grep 'Gitorch-Status: ERROR'             what failed

The code a run executed is the commit under `pin` in its record: `git worktree add ../look <commit>` brings it back.
`gitorch checkout-run <id>` does the same with config, logs and all outputs, the large ones included.
"""
