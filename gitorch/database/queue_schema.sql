-- The queue contains only unfinished runs. The records on the results branch are the source of truth, and the queue can be
-- rebuilt from them. A finished task leaves the queue. A run leaves the queue with its last task.

-- `home` identifies the repository to which the file belongs. `tip` is the commit of the results branch up to which the
-- queue agrees with the records. `latest`, if it is known, is the time by which the newest run of this commit is sorted.
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- A process that claims tasks. A worker is alive as long as its lock file is locked. `pid`, `boot` and `process_start` are
-- shown to people and used to find leftover processes. None of the three identifies a process by itself.
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
--   doomed   1: the run is to be killed. None of its tasks is claimed, and no end of an attempt is accepted. The first
--            program that notices the request may remove the rest of the run
-- `held` and `doomed` are stored requests. They remain in force after the program that made them has ended.
CREATE TABLE runs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    payload TEXT NOT NULL,
    worker TEXT REFERENCES workers (id) ON DELETE SET NULL,
    held INTEGER NOT NULL DEFAULT 0,
    doomed INTEGER NOT NULL DEFAULT 0
) STRICT;

-- A task.
--   seq                the `seq` of its run, repeated here so that a claim reads one index in order
--   priority           the tasks with the highest priority are claimed first
--   position           its place among the tasks of its run
--   begun              1: a task of its run was claimed before. Among tasks of the same priority, the runs that have begun
--                      go on first
--   attempts           the number of attempts that were started
--   retries            the number of automatic retries since an operator last changed the status
--   losses             the number of attempts in a row that were lost
--   not_before         the end of its backoff. The task is not claimed earlier
--   ended              when its last attempt ended. If the present time is earlier, the clock was set back, and the backoff
--                      is ignored
--   cpus, gpus, memory the resources of its machine that it uses (memory in bytes)
--   token              identifies the current attempt. A program with another token cannot change the task
--   worker, started    the worker of the current attempt, and the time when it was claimed
--   outcome            JSON of the last attempt's outcome, for a task in ERROR
--   key                the cache key: the one that is being computed if the task is RUNNING, otherwise the last one. The
--                      task is not claimed while another task computes the same key
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
    begun INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (run, id),
    CHECK ((status = 'RUNNING') = (token IS NOT NULL))
) STRICT;

CREATE INDEX tasks_with_resources ON tasks (run) WHERE cpus > 0 OR gpus > 0 OR memory > 0;

CREATE INDEX tasks_in_order ON tasks (status, priority DESC, begun DESC, seq, position);

-- `task` needs the results of `needed`. The task `needed` is unfinished as long as it is in the table `tasks`.
CREATE TABLE needs (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    task TEXT NOT NULL,
    needed TEXT NOT NULL,
    PRIMARY KEY (run, task, needed)
) STRICT, WITHOUT ROWID;

-- The tasks that can be claimed if their backoffs and keys permit it. They are WAITING, they need no unfinished task, and
-- their run is neither held nor to be killed.
CREATE VIEW claimable AS
SELECT t.rowid AS row, t.run, t.id, t.priority, t.begun, t.seq, t.position, t.not_before, t.ended, t.cpus, t.gpus,
    t.memory, t.key
FROM tasks AS t JOIN runs AS r ON r.id = t.run
WHERE t.status = 'WAITING' AND NOT r.held AND NOT r.doomed
  AND NOT EXISTS (
      SELECT 1 FROM needs AS n JOIN tasks AS unfinished ON unfinished.run = n.run AND unfinished.id = n.needed
      WHERE n.run = t.run AND n.task = t.id
  );

-- The cache keys that registered workers are computing, each with its task.
CREATE VIEW computing AS
SELECT key, run, id FROM tasks
WHERE status = 'RUNNING' AND key IS NOT NULL AND worker IN (SELECT id FROM workers);
