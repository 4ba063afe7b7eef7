-- Every statement the queue executes, by name.

-- name: add_run
-- A run joins the queue; one that is there already stays as it is.
INSERT INTO runs (id, payload, held) VALUES (:id, :payload, :held) ON CONFLICT (id) DO NOTHING;

-- name: bring_run
-- A run is brought to its record. While one of its tasks runs, the run keeps the payload that the task was begun with.
UPDATE runs SET held = :held, payload = CASE
    WHEN EXISTS (SELECT 1 FROM tasks WHERE run = runs.id AND status = 'RUNNING') THEN payload
    ELSE :payload END
WHERE id = :id;

-- name: add_task
-- A task joins the queue; of one that is there already only the place is another.
INSERT INTO tasks (run, id, seq, position, priority, status, attempts, outcome, cpus, gpus, memory)
SELECT :run, :id, seq, :position, :priority, :status, :attempts, :outcome, :cpus, :gpus, :memory
FROM runs WHERE id = :run
ON CONFLICT (run, id) DO UPDATE SET position = excluded.position, priority = excluded.priority;

-- name: add_need
INSERT INTO needs (run, task, needed) VALUES (:run, :task, :needed) ON CONFLICT DO NOTHING;

-- name: claim
-- The first waiting task, in order, that needs nothing unfinished becomes ours, in one statement; `ahead`: of a run of
-- which nothing runs.
UPDATE tasks
SET status = 'RUNNING', token = :token, worker = :worker, started = :now, attempts = attempts + 1, outcome = NULL,
    not_before = NULL, ended = NULL, key = NULL
WHERE rowid = (
    SELECT row FROM claimable
    WHERE (:only IS NULL OR run IN (SELECT value FROM json_each(:only)))
      AND (not_before IS NULL OR not_before <= :now OR :now < ended)
      AND (key IS NULL OR key NOT IN (SELECT key FROM computing))
      AND cpus <= :cpus AND gpus <= :gpus AND memory <= :memory
      AND (NOT :ahead OR NOT EXISTS (
          SELECT 1 FROM tasks AS other WHERE other.run = claimable.run AND other.status = 'RUNNING'))
    ORDER BY priority DESC, seq, position
    LIMIT 1
)
RETURNING run, id, attempts, token, started, retries, losses, key,
    (SELECT payload FROM runs WHERE runs.id = run) AS payload,
    (SELECT worker FROM runs WHERE runs.id = run) IS NULL AS is_fresh;

-- name: assign_run
-- The run is worked on by this worker.
UPDATE runs SET worker = :worker WHERE id = :run;

-- name: compute
-- What this attempt computes, unless another does so already; `alongside`: even then.
UPDATE tasks SET key = :key
WHERE run = :run AND id = :task AND token = :token AND (:alongside OR :key NOT IN (SELECT key FROM computing));

-- name: give_way
-- To another that computes the same: as if it had never been claimed, it waits for that to end.
UPDATE tasks
SET status = CASE WHEN (SELECT held FROM runs WHERE runs.id = run) THEN 'HOLD' ELSE 'WAITING' END, key = :key,
    attempts = attempts - 1, token = NULL, worker = NULL, started = NULL
WHERE run = :run AND id = :task AND token = :token AND NOT (SELECT doomed FROM runs WHERE runs.id = run)
  AND :key IN (SELECT key FROM computing);

-- name: unassign_run
-- The worker has this run no longer in hand.
UPDATE runs SET worker = NULL WHERE id = :run;

-- name: finish_task
-- A finished task leaves; only the current attempt can finish it, and none of a doomed run.
DELETE FROM tasks
WHERE run = :run AND id = :task AND token = :token AND NOT (SELECT doomed FROM runs WHERE runs.id = run);

-- name: end_task
-- A task whose attempt ended otherwise; only the current attempt can say so. What would wait in a held run is held.
UPDATE tasks
SET status = CASE WHEN :status = 'WAITING' AND (SELECT held FROM runs WHERE runs.id = run) THEN 'HOLD' ELSE :status END,
    token = NULL, worker = NULL, started = NULL, outcome = :outcome,
    retries = :retries, losses = :losses, not_before = :not_before, ended = :ended
WHERE run = :run AND id = :task AND token = :token AND NOT (SELECT doomed FROM runs WHERE runs.id = run);

-- name: give_back
-- An attempt that was never begun: it is as if it had never been claimed.
UPDATE tasks
SET status = CASE WHEN (SELECT held FROM runs WHERE runs.id = run) THEN 'HOLD' ELSE 'WAITING' END,
    attempts = attempts - 1, token = NULL, worker = NULL, started = NULL
WHERE run = :run AND id = :task AND token = :token AND NOT (SELECT doomed FROM runs WHERE runs.id = run);

-- name: end_killed_task
-- Of a doomed run nothing runs any more under this token.
DELETE FROM tasks
WHERE run = :run AND id = :task AND token = :token AND (SELECT doomed FROM runs WHERE runs.id = run);

-- name: drop_emptied_run
-- A run leaves with its last task.
DELETE FROM runs WHERE id = :run AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.run = runs.id);

-- name: unassign_stuck_run
-- The run is in nobody's hands if nothing of it can go on.
UPDATE runs SET worker = NULL
WHERE id = :run
  AND NOT EXISTS (SELECT 1 FROM tasks WHERE run = runs.id AND status = 'RUNNING')
  AND NOT EXISTS (SELECT 1 FROM claimable WHERE run = runs.id);

-- name: remove_run
DELETE FROM runs WHERE id = :run;

-- name: forget_finished_tasks
-- The record has them complete, the queue was not told: a crash came between.
DELETE FROM tasks
WHERE run = :run AND status != 'RUNNING' AND id NOT IN (SELECT value FROM json_each(:unfinished));

-- name: hold_tasks
-- The tasks of a held run that wait are held, and keep their retries, losses and backoff. A running task goes on.
UPDATE tasks SET status = 'HOLD' WHERE run = :run AND status = 'WAITING';

-- name: release_tasks
-- The tasks of a run that is not held wait, with their retries, losses and backoff as before.
UPDATE tasks SET status = 'WAITING' WHERE run = :run AND status = 'HOLD';

-- name: request_kill
-- From now on nothing of it is claimed, and no attempt of it is accepted.
UPDATE runs SET doomed = 1 WHERE id = :run;

-- name: kill_requests
SELECT id FROM runs WHERE doomed;

-- name: set_task_status
-- A task that does not run gets the status of its record. A verb gave it that status, so retries and losses count anew.
UPDATE tasks
SET status = :status, outcome = :outcome, retries = 0, losses = 0, not_before = NULL, ended = NULL
WHERE run = :run AND id = :task AND status NOT IN ('RUNNING', :status);

-- name: counts_resources
-- Does any task take a counted part of its machine?
SELECT 1 FROM tasks WHERE cpus > 0 OR gpus > 0 OR memory > 0 LIMIT 1;

-- name: is_current
-- Is this still the task's current attempt, of a run that is to live?
SELECT 1 FROM tasks
WHERE run = :run AND id = :task AND token = :token AND NOT (SELECT doomed FROM runs WHERE runs.id = run);

-- name: claimable
-- How many tasks can be claimed on a machine that has this much: now, after their backoff, or once nobody computes the
-- same.
SELECT count(*) FROM claimable
WHERE (:only IS NULL OR run IN (SELECT value FROM json_each(:only)))
  AND cpus <= :cpus AND gpus <= :gpus AND memory <= :memory;

-- name: next_runs
-- The runs that will be begun next, in order; one may come more than once. Read as far as needed.
SELECT r.id FROM claimable AS c CROSS JOIN runs AS r ON r.id = c.run
WHERE r.worker IS NULL AND (:only IS NULL OR c.run IN (SELECT value FROM json_each(:only)))
  AND (c.key IS NULL OR c.key NOT IN (SELECT key FROM computing))
ORDER BY c.priority DESC, c.seq, c.position;

-- name: payload
SELECT payload FROM runs WHERE id = :run;

-- name: runs
-- The live runs, in order of arrival.
SELECT id, worker, held FROM runs ORDER BY seq;

-- name: run
SELECT id, worker, held FROM runs WHERE id = :run;

-- name: tasks
-- The tasks of all live runs, each run's together, in order.
SELECT run, id, status, priority, attempts, token, worker, started, not_before, outcome, key FROM tasks ORDER BY seq, position;

-- name: tasks_of
SELECT run, id, status, priority, attempts, token, worker, started, not_before, outcome, key FROM tasks WHERE run = :run ORDER BY position;

-- name: running_of
-- What this worker is running, in the shape of its claims.
SELECT t.run, t.id, t.attempts, t.token, t.started, t.retries, t.losses, t.key, r.payload, 0 AS is_fresh
FROM tasks AS t JOIN runs AS r ON r.id = t.run
WHERE t.worker = :worker;

-- name: running_in
-- What runs of a run, in the shape of its claims, and who runs it.
SELECT t.run, t.id, t.attempts, t.token, t.started, t.retries, t.losses, t.key, r.payload, 0 AS is_fresh, t.worker
FROM tasks AS t JOIN runs AS r ON r.id = t.run
WHERE t.run = :run AND t.status = 'RUNNING';

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
