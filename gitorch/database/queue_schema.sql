-- The queue: unfinished runs only. The record on the results branch is the source of truth about what happened, and this
-- file can be rebuilt from the records. A finished task leaves the queue, and a run leaves with its last task.

-- `home` identifies the repository to which the file belongs. `tip` is the commit of the results branch up to which the
-- queue agrees with the records.
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- A process that claims tasks. It is alive as long as its lock file is locked. pid, boot and process_start are for people
-- and for the search for leftover processes; none of them is trusted alone.
CREATE TABLE workers (
    id TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    boot TEXT NOT NULL,
    process_start TEXT NOT NULL,
    since TEXT NOT NULL
) STRICT;

-- A run.
--   seq      the order of arrival
--   payload  JSON of what an attempt needs: spec, pin, interpreter
--   worker   the worker that is assigned to the run, if any
--   held     1: no task of the run is claimed until the run is released
--   doomed   1: the run is to be killed. None of its tasks is claimed, no end of an attempt is accepted, and whichever
--            program sees it first may remove what is left
-- `held` and `doomed` are stored requests: they stay in force when the program that made them ends.
CREATE TABLE runs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    payload TEXT NOT NULL,
    worker TEXT REFERENCES workers (id) ON DELETE SET NULL,
    held INTEGER NOT NULL DEFAULT 0,
    doomed INTEGER NOT NULL DEFAULT 0
) STRICT;

-- A task.
--   seq, priority      those of its run, repeated so that a claim reads one index in order
--   position           its place among the tasks of its run
--   attempts           how many attempts were begun
--   retries            how many of them were automatic, since an operator last changed the status
--   losses             how many attempts in a row were lost
--   not_before         the end of its backoff: it is not claimed earlier
--   ended              when its last attempt ended. If the clock is now before that, it was set back, and the backoff is
--                      ignored
--   cpus, gpus, memory what it takes of its machine (memory in bytes)
--   token              names the current attempt. A program with any other token cannot change the task
--   worker, started    who runs the current attempt, and since when
--   outcome            JSON of the last attempt's outcome, for a task in ERROR
--   key                the cache key. RUNNING: the key being computed. Otherwise: the key that it last had. A task is not
--                      claimed while another task computes its key
CREATE TABLE tasks (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    position INTEGER NOT NULL,
    priority INTEGER NOT NULL DEFAULT 0,
    status TEXT NOT NULL CHECK (status IN ('WAITING', 'RUNNING', 'ERROR', 'HOLD')),
    attempts INTEGER NOT NULL DEFAULT 0,
    retries INTEGER NOT NULL DEFAULT 0,
    losses INTEGER NOT NULL DEFAULT 0,
    not_before TEXT,
    ended TEXT,
    cpus REAL NOT NULL DEFAULT 0,
    gpus INTEGER NOT NULL DEFAULT 0,
    memory INTEGER NOT NULL DEFAULT 0,
    token TEXT,
    worker TEXT,
    started TEXT,
    outcome TEXT,
    key TEXT,
    PRIMARY KEY (run, id),
    CHECK ((status = 'RUNNING') = (token IS NOT NULL))
) STRICT;

CREATE INDEX tasks_with_resources ON tasks (run) WHERE cpus > 0 OR gpus > 0 OR memory > 0;

CREATE INDEX tasks_in_order ON tasks (status, priority DESC, seq, position);

-- `task` needs the results of `needed`, which is unfinished as long as it is in the table of tasks.
CREATE TABLE needs (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    task TEXT NOT NULL,
    needed TEXT NOT NULL,
    PRIMARY KEY (run, task, needed)
) STRICT, WITHOUT ROWID;

-- The tasks that can be claimed, apart from their backoffs and keys: they wait, they need no unfinished task, and their run
-- is neither held nor to be killed.
CREATE VIEW claimable AS
SELECT t.rowid AS row, t.run, t.id, t.priority, t.seq, t.position, t.not_before, t.ended, t.cpus, t.gpus, t.memory,
    t.key
FROM tasks AS t JOIN runs AS r ON r.id = t.run
WHERE t.status = 'WAITING' AND NOT r.held AND NOT r.doomed
  AND NOT EXISTS (
      SELECT 1 FROM needs AS n JOIN tasks AS unfinished ON unfinished.run = n.run AND unfinished.id = n.needed
      WHERE n.run = t.run AND n.task = t.id
  );

-- The cache keys that registered workers are computing, and for which task.
CREATE VIEW computing AS
SELECT key, run, id FROM tasks
WHERE status = 'RUNNING' AND key IS NOT NULL AND worker IN (SELECT id FROM workers);
