-- Every statement the queue executes, by name.

-- name: add_run
-- A run joins the queue; one that is there already stays as it is.
INSERT INTO runs (id, payload) VALUES (:id, :payload) ON CONFLICT (id) DO NOTHING;

-- name: add_task
INSERT INTO tasks (run, id, seq, position, status, attempts, outcome)
SELECT :run, :id, seq, :position, :status, :attempts, :outcome FROM runs WHERE id = :run;

-- name: add_need
INSERT INTO needs (run, task, needed) VALUES (:run, :task, :needed);

-- name: claim
-- The first waiting task, in order, that needs nothing unfinished becomes ours, in one statement.
UPDATE tasks
SET status = 'RUNNING', token = :token, worker = :worker, started = :now, attempts = attempts + 1, outcome = NULL
WHERE rowid = (
    SELECT row FROM claimable
    WHERE :only IS NULL OR run IN (SELECT value FROM json_each(:only))
    ORDER BY priority DESC, seq, position
    LIMIT 1
)
RETURNING run, id, attempts, token, started,
    (SELECT payload FROM runs WHERE runs.id = run) AS payload,
    (SELECT count(*) FROM tasks AS sibling
     WHERE sibling.run = tasks.run AND sibling.status = 'RUNNING' AND sibling.id != tasks.id) AS siblings;

-- name: take_in_hand
-- The run is worked on by this worker.
UPDATE runs SET worker = :worker WHERE id = :run;

-- name: finish_task
-- A finished task leaves; only the current attempt can finish it.
DELETE FROM tasks WHERE run = :run AND id = :task AND token = :token;

-- name: end_task
-- A task whose attempt ended otherwise; only the current attempt can say so.
UPDATE tasks SET status = :status, token = NULL, worker = NULL, started = NULL, outcome = :outcome
WHERE run = :run AND id = :task AND token = :token;

-- name: drop_emptied_run
-- A run leaves with its last task.
DELETE FROM runs WHERE id = :run AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.run = runs.id);

-- name: let_go
-- The run is in nobody's hands if nothing of it can go on.
UPDATE runs SET worker = NULL
WHERE id = :run
  AND NOT EXISTS (SELECT 1 FROM tasks WHERE run = runs.id AND status = 'RUNNING')
  AND NOT EXISTS (SELECT 1 FROM claimable WHERE run = runs.id);

-- name: hand_back
-- The worker has this run no longer in hand.
UPDATE runs SET worker = NULL WHERE id = :run;

-- name: remove_run
DELETE FROM runs WHERE id = :run;

-- name: forget_finished_task
-- The record has the task complete, the queue was not told: a crash came between.
DELETE FROM tasks WHERE run = :run AND id = :task;

-- name: retry_tasks
-- Tasks in ERROR wait again.
UPDATE tasks SET status = 'WAITING', outcome = NULL WHERE run = :run AND status = 'ERROR';

-- name: is_current
-- Is this still the task's current attempt?
SELECT 1 FROM tasks WHERE run = :run AND id = :task AND token = :token;

-- name: claimable
-- How many tasks could be claimed now.
SELECT count(*) FROM claimable WHERE :only IS NULL OR run IN (SELECT value FROM json_each(:only));

-- name: next_runs
-- The runs that will be begun next, in order; one may come more than once. Read as far as needed.
SELECT r.id, r.payload FROM claimable AS c CROSS JOIN runs AS r ON r.id = c.run
WHERE r.worker IS NULL AND (:only IS NULL OR c.run IN (SELECT value FROM json_each(:only)))
ORDER BY c.priority DESC, c.seq, c.position;

-- name: runs
-- The live runs, in order of arrival.
SELECT id, payload, worker FROM runs ORDER BY seq;

-- name: run
SELECT id, payload, worker FROM runs WHERE id = :run;

-- name: tasks
-- The tasks of all live runs, each run's together, in order.
SELECT run, id, status, attempts, token, worker, started, outcome FROM tasks ORDER BY seq, position;

-- name: tasks_of
SELECT run, id, status, attempts, token, worker, started, outcome FROM tasks WHERE run = :run ORDER BY position;

-- name: running_of
-- What this worker is running, in the shape of its claims.
SELECT t.run, t.id, t.attempts, t.token, t.started, r.payload, 0 AS siblings
FROM tasks AS t JOIN runs AS r ON r.id = t.run
WHERE t.worker = :worker;

-- name: register_worker
INSERT INTO workers (id, host, pid, boot, process_start, since)
VALUES (:id, :host, :pid, :boot, :process_start, :since);

-- name: unregister_worker
-- Also takes its runs out of its hands.
DELETE FROM workers WHERE id = :id;

-- name: workers
SELECT id, host, pid, boot, process_start, since FROM workers ORDER BY since, id;

-- name: void_running
-- The file came from elsewhere: nothing that it says is running runs here.
UPDATE tasks SET status = 'WAITING', token = NULL, worker = NULL, started = NULL WHERE status = 'RUNNING';

-- name: void_workers
DELETE FROM workers;

-- name: get_meta
SELECT value FROM meta WHERE key = :key;

-- name: set_meta
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- name: advance_tip
-- The queue has been told of every commit up to this one, if it had been told of the one before.
UPDATE meta SET value = :tip WHERE key = 'tip' AND value = :parent;
