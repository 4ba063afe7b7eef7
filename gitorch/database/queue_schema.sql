-- The queue: live runs and tasks only. The record on the results branch is the truth about what happened; this file is
-- rebuilt from it. A finished task leaves the queue, and a run with its last task.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- A process that claims tasks. It lives as long as its lock file is locked; pid, boot and process_start are for people
-- and for the sweep, never trusted alone.
CREATE TABLE workers (
    id TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    boot TEXT NOT NULL,
    process_start TEXT NOT NULL,
    since TEXT NOT NULL
) STRICT;

-- `payload` is the JSON of what an attempt needs: spec, pin, interpreter. `worker` has the run in hand, if any. `held`
-- and `doomed` are wishes that outlive whoever had them: nothing of such a run is claimed; of a doomed one everything
-- goes, by whoever gets to it first.
CREATE TABLE runs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    payload TEXT NOT NULL,
    worker TEXT REFERENCES workers (id) ON DELETE SET NULL,
    held INTEGER NOT NULL DEFAULT 0,
    doomed INTEGER NOT NULL DEFAULT 0
) STRICT;

-- `seq` and `priority` repeat the run's, so that a claim reads one index in order. `token` names the current attempt:
-- who does not bear it has no say. `outcome` is the JSON of the last attempt's, for a task in ERROR. `retries` counts the
-- automatic ones since the last verb, `losses` the attempts lost in a row; before `not_before` it is not claimed again,
-- unless the clock, which said `ended` when its last attempt ended, was set back since.
-- `cpus`, `gpus` and `memory` (bytes) are what it takes of its machine. `key` is that of the cache: of a task in RUNNING
-- what it computes, of any other what it was last found to; one that somebody computes is not claimed.
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

CREATE TABLE needs (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    task TEXT NOT NULL,
    needed TEXT NOT NULL,
    PRIMARY KEY (run, task, needed)
) STRICT, WITHOUT ROWID;

-- What could be claimed now, its backoff and its key aside: waiting, not held, with nothing unfinished that it needs.
CREATE VIEW claimable AS
SELECT t.rowid AS row, t.run, t.id, t.priority, t.seq, t.position, t.not_before, t.ended, t.cpus, t.gpus, t.memory,
    t.key
FROM tasks AS t JOIN runs AS r ON r.id = t.run
WHERE t.status = 'WAITING' AND NOT r.held AND NOT r.doomed
  AND NOT EXISTS (
      SELECT 1 FROM needs AS n JOIN tasks AS unfinished ON unfinished.run = n.run AND unfinished.id = n.needed
      WHERE n.run = t.run AND n.task = t.id
  );

-- The keys that are just being computed, and where.
CREATE VIEW computing AS
SELECT key, run, id FROM tasks
WHERE status = 'RUNNING' AND key IS NOT NULL AND worker IN (SELECT id FROM workers);
