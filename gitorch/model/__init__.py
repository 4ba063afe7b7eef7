"""Pure values and rules: no input or output, no clock, no environment.

Every other package may import this one. Its only import from the rest of gitorch is
`gitorch.errors`.

Glossary. Each word has one meaning:

config            one YAML file.
params            the keys of a config that are not gitorch's own, resolved.
sweep             the part of a config that expands it into several runs. A combination of values is
                  a *point*. The params that a sweep varies are *swept*.
pin               a commit oid and its tree oid, with their *origin*: clean HEAD, HEAD in spite of
                  uncommitted changes, named revision, or snapshot.
run               one config with one set of params at one pin. A run has an id.
record            the durable account of a run, on the results branch.
task              one unit of work in a run: an `id` and a `method` or `command`.
attempt           one try at a task.
outcome           the way in which an attempt ended: succeeded, exit code, signal, lost, …
status            WAITING, RUNNING, COMPLETE, ERROR, FAILED or HOLD, of a task or a run. A run is
                  *live* until it is COMPLETE, FAILED or killed.
queue             the SQLite file that holds only live runs and their unfinished tasks.
row               the part of a record that lists and selections need.
index             the SQLite file that holds the rows of all runs.
catalog           the index combined with the queue: all runs in their present state.
worker            the component that claims tasks and manages their attempts until they end.
engine            the backend that executes attempts.
cache key         a hash of everything that the results of a task depend on. Another run with the
                  same key can *reuse* these results.
worktree          the git worktree in which a run executes.
output directory  the directory to which the tasks of a run write.
artifact          a kept output file. Files that `discard` names are not kept.
data              the files that `inputs` name, identified by the SHA-256 of their content.
results branch    the orphan branch to which the records are committed.
workspace         the directory that holds worktrees and live outputs.
"""
