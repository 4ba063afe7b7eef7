-- All statements that the queue executes, by name. queue_schema.sql explains the tables and columns.

-- name: add_run
-- Add a run. A run that is already queued does not change.
INSERT INTO runs (id, payload, held) VALUES (:id, :payload, :held) ON CONFLICT (id) DO NOTHING;

-- name: bring_run
-- Update a queued run from its record. While one of its tasks is RUNNING, the payload does not change, because the attempt
-- uses it.
UPDATE runs SET held = :held, payload = CASE
    WHEN EXISTS (SELECT 1 FROM tasks WHERE run = runs.id AND status = 'RUNNING') THEN payload
    ELSE :payload END
WHERE id = :id;

-- name: add_task
-- Add a task. If the task is already queued, change only its position and priority. The number of its attempts grows if
-- the record has more.
INSERT INTO tasks (run, id, seq, position, priority, status, attempts, outcome, cpus, gpus, memory, begun)
SELECT :run, :id, seq, :position, :priority, :status, :attempts, :outcome, :cpus, :gpus, :memory, :begun
FROM runs WHERE id = :run
ON CONFLICT (run, id) DO UPDATE SET position = excluded.position, priority = excluded.priority,
    attempts = CASE WHEN status = 'RUNNING' THEN attempts ELSE max(attempts, excluded.attempts) END,
    begun = max(begun, excluded.begun);

-- name: add_need
-- Store that a task needs the results of another task.
INSERT INTO needs (run, task, needed) VALUES (:run, :task, :needed) ON CONFLICT DO NOTHING;

-- name: claim
-- Claim the first task that can run, in one statement. Runs that have begun go on first. If `ahead` is true, skip the runs
-- that have a RUNNING task. If `above` is not NULL, skip the tasks that do not have a higher priority. If `full` is not
-- NULL, skip the tasks of these engines.
UPDATE tasks
SET status = 'RUNNING', token = :token, worker = :worker, started = :now, attempts = attempts + 1, outcome = NULL,
    not_before = NULL, ended = NULL, key = NULL
WHERE rowid = (
    SELECT row FROM claimable
    WHERE (:only IS NULL OR run IN (SELECT value FROM json_each(:only)))
      AND (not_before IS NULL OR not_before <= :now OR :now < ended)
      AND (key IS NULL OR key NOT IN (SELECT key FROM computing))
      AND cpus <= :cpus AND gpus <= :gpus AND memory <= :memory
      AND (:above IS NULL OR priority > :above)
      AND (:full IS NULL OR coalesce((
          SELECT task.value ->> 'engine' FROM runs, json_each(payload, '$.spec.tasks') AS task
          WHERE runs.id = claimable.run AND json_valid(payload) AND task.value ->> 'id' = claimable.id
      ), '') NOT IN (SELECT value FROM json_each(:full)))
      AND (NOT :ahead OR NOT EXISTS (
          SELECT 1 FROM tasks AS other WHERE other.run = claimable.run AND other.status = 'RUNNING'))
    ORDER BY priority DESC, begun DESC, seq, position
    LIMIT 1
)
RETURNING run, id, attempts, token, started, retries, losses, key, priority,
    (SELECT payload FROM runs WHERE runs.id = run) AS payload,
    (SELECT worker FROM runs WHERE runs.id = run) IS NULL AS is_fresh;

-- name: begin_run
-- Let the tasks of a run go before those of runs that have not begun.
UPDATE tasks SET begun = 1 WHERE run = :run AND NOT begun;

-- name: unbegin_run
-- Undo `begin_run`, because the first claim of the run was undone.
UPDATE tasks SET begun = 0 WHERE run = :run AND begun;

-- name: assign_run
-- Assign a run to the worker that has claimed one of its tasks.
UPDATE runs SET worker = :worker WHERE id = :run;

-- name: compute
-- Store the key that an attempt computes, unless another task is computing the same key. If `alongside` is true, store the
-- key in any case.
UPDATE tasks SET key = :key
WHERE run = :run AND id = :task AND token = :token AND (:alongside OR :key NOT IN (SELECT key FROM computing));

-- name: give_way
-- Undo the claim because another task is computing the same key. The task can be claimed again when the other task ends.
UPDATE tasks
SET status = CASE WHEN (SELECT held FROM runs WHERE runs.id = run) THEN 'HOLD' ELSE 'WAITING' END, key = :key,
    attempts = attempts - 1, token = NULL, worker = NULL, started = NULL
WHERE run = :run AND id = :task AND token = :token AND NOT (SELECT doomed FROM runs WHERE runs.id = run)
  AND :key IN (SELECT key FROM computing);

-- name: unassign_run
-- Unassign a run from its worker.
UPDATE runs SET worker = NULL WHERE id = :run;

-- name: finish_task
-- Remove a finished task. Only the current attempt can finish it, and only if the run is not to be killed.
DELETE FROM tasks
WHERE run = :run AND id = :task AND token = :token AND NOT (SELECT doomed FROM runs WHERE runs.id = run);

-- name: end_task
-- Set the status of a task whose current attempt ended without success. In a held run, the status is HOLD instead of
-- WAITING.
UPDATE tasks
SET status = CASE WHEN :status = 'WAITING' AND (SELECT held FROM runs WHERE runs.id = run) THEN 'HOLD' ELSE :status END,
    token = NULL, worker = NULL, started = NULL, outcome = :outcome,
    retries = :retries, losses = :losses, not_before = :not_before, ended = :ended
WHERE run = :run AND id = :task AND token = :token AND NOT (SELECT doomed FROM runs WHERE runs.id = run);

-- name: give_back
-- Undo the claim of an attempt that did not begin.
UPDATE tasks
SET status = CASE WHEN (SELECT held FROM runs WHERE runs.id = run) THEN 'HOLD' ELSE 'WAITING' END,
    attempts = attempts - 1, token = NULL, worker = NULL, started = NULL
WHERE run = :run AND id = :task AND token = :token AND NOT (SELECT doomed FROM runs WHERE runs.id = run);

-- name: end_killed_task
-- Remove a task of a run that is to be killed, after all processes of the attempt with this token have ended.
DELETE FROM tasks
WHERE run = :run AND id = :task AND token = :token AND (SELECT doomed FROM runs WHERE runs.id = run);

-- name: drop_emptied_run
-- Remove a run that has no task left.
DELETE FROM runs WHERE id = :run AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.run = runs.id);

-- name: unassign_stuck_run
-- Unassign a run from its worker if none of its tasks is RUNNING and none can be claimed.
UPDATE runs SET worker = NULL
WHERE id = :run
  AND NOT EXISTS (SELECT 1 FROM tasks WHERE run = runs.id AND status = 'RUNNING')
  AND NOT EXISTS (SELECT 1 FROM claimable WHERE run = runs.id);

-- name: remove_run
-- Remove a run with its tasks.
DELETE FROM runs WHERE id = :run;

-- name: forget_finished_tasks
-- Remove the tasks that are complete in the record. They are still queued if a crash happened after the record was written
-- and before the queue was updated.
DELETE FROM tasks
WHERE run = :run AND status != 'RUNNING' AND id NOT IN (SELECT value FROM json_each(:unfinished));

-- name: hold_tasks
-- Hold the waiting tasks of a held run. They keep their retries, losses and backoffs. A RUNNING task continues.
UPDATE tasks SET status = 'HOLD' WHERE run = :run AND status = 'WAITING';

-- name: release_tasks
-- Let the held tasks of a run wait again, with their earlier retries, losses and backoffs.
UPDATE tasks SET status = 'WAITING' WHERE run = :run AND status = 'HOLD';

-- name: request_kill
-- Store that a run is to be killed. From now on, none of its tasks is claimed and no end of an attempt is accepted.
UPDATE runs SET doomed = 1 WHERE id = :run;

-- name: kill_requests
-- Return the runs that are to be killed.
SELECT id FROM runs WHERE doomed;

-- name: set_task_status
-- Set the status of a task that is not RUNNING to the status in its record. An operator changed the status, so retries and
-- losses are counted from 0 again.
UPDATE tasks
SET status = :status, outcome = :outcome, retries = 0, losses = 0, not_before = NULL, ended = NULL
WHERE run = :run AND id = :task AND status NOT IN ('RUNNING', :status);

-- name: engines
-- Return the engines that the tasks of queued runs name. Most payloads do not have the word, and are not parsed.
SELECT DISTINCT task.value ->> 'engine' AS engine
FROM (SELECT * FROM runs WHERE instr(payload, '"engine"') > 0 AND json_valid(payload)) AS named,
    json_each(named.payload, '$.spec.tasks') AS task
WHERE (:only IS NULL OR named.id IN (SELECT value FROM json_each(:only))) AND task.value ->> 'engine' IS NOT NULL;

-- name: counts_resources
-- Return a row if any task uses counted resources.
SELECT 1 FROM tasks WHERE cpus > 0 OR gpus > 0 OR memory > 0 LIMIT 1;

-- name: is_current
-- Return a row if the task's current attempt has this token and the run is not to be killed.
SELECT 1 FROM tasks
WHERE run = :run AND id = :task AND token = :token AND NOT (SELECT doomed FROM runs WHERE runs.id = run);

-- name: failures_of
-- Return the tasks in ERROR whose last attempt computed a key and ended after the time `since`, and its outcome.
SELECT t.run, t.id, t.outcome FROM tasks AS t JOIN runs AS r ON r.id = t.run
WHERE t.status = 'ERROR' AND t.key = :key AND t.outcome IS NOT NULL AND t.ended > :since AND NOT r.doomed
ORDER BY t.ended DESC;

-- name: claimable
-- Count the tasks that a machine with these resources can claim: now, after a backoff, or after a computation ends.
SELECT count(*) FROM claimable
WHERE (:only IS NULL OR run IN (SELECT value FROM json_each(:only)))
  AND cpus <= :cpus AND gpus <= :gpus AND memory <= :memory;

-- name: next_runs
-- Return the runs that will start next, in order. A run with several claimable tasks is returned several times. CROSS JOIN
-- fixes the order of the tables, so that SQLite reads the rows in order from an index. This is fast because the caller
-- reads only the first few rows.
SELECT r.id FROM claimable AS c CROSS JOIN runs AS r ON r.id = c.run
WHERE r.worker IS NULL AND (:only IS NULL OR c.run IN (SELECT value FROM json_each(:only)))
  AND (c.key IS NULL OR c.key NOT IN (SELECT key FROM computing))
ORDER BY c.priority DESC, c.begun DESC, c.seq, c.position;

-- name: payload
-- Return the payload of a run.
SELECT payload FROM runs WHERE id = :run;

-- name: runs
-- Return all runs, in order of arrival.
SELECT id, worker, held FROM runs ORDER BY seq;

-- name: run
-- Return one run.
SELECT id, worker, held FROM runs WHERE id = :run;

-- name: tasks
-- Return the tasks of all runs. The tasks of one run are adjacent and in order.
SELECT run, id, status, priority, attempts, token, worker, started, not_before, outcome, key, begun
FROM tasks ORDER BY seq, position;

-- name: tasks_of
-- Return the tasks of one run, in order.
SELECT run, id, status, priority, attempts, token, worker, started, not_before, outcome, key, begun
FROM tasks WHERE run = :run ORDER BY position;

-- name: running_of
-- Return the tasks that a worker is running, with the columns of `claim`.
SELECT t.run, t.id, t.attempts, t.token, t.started, t.retries, t.losses, t.key, t.priority, r.payload, 0 AS is_fresh
FROM tasks AS t JOIN runs AS r ON r.id = t.run
WHERE t.worker = :worker;

-- name: running_in
-- Return the RUNNING tasks of a run, with the columns of `claim` and the worker.
SELECT t.run, t.id, t.attempts, t.token, t.started, t.retries, t.losses, t.key, t.priority, r.payload, 0 AS is_fresh, t.worker
FROM tasks AS t JOIN runs AS r ON r.id = t.run
WHERE t.run = :run AND t.status = 'RUNNING';

-- name: register_worker
-- Add a worker. A worker that is already registered does not change.
INSERT INTO workers (id, host, pid, boot, process_start, since)
VALUES (:id, :host, :pid, :boot, :process_start, :since) ON CONFLICT DO NOTHING;

-- name: unregister_worker
-- Remove a worker. The foreign key unassigns its runs.
DELETE FROM workers WHERE id = :id;

-- name: workers
-- Return all workers, the oldest first.
SELECT id, host, pid, boot, process_start, since FROM workers ORDER BY since, id;

-- name: entrust
-- Note a worker's attempt that was claimed in another queue.db, or by a worker that is dead. It is the current attempt
-- of its task.
UPDATE tasks
SET status = 'RUNNING', token = :token, worker = :worker, started = :started, attempts = :number, outcome = NULL,
    not_before = NULL, ended = NULL, key = CASE WHEN token = :token THEN key END
WHERE run = :run AND id = :task;

-- name: void
-- Let a task wait again whose record does not accept the current attempt.
UPDATE tasks
SET status = CASE WHEN (SELECT held FROM runs WHERE runs.id = run) THEN 'HOLD' ELSE 'WAITING' END,
    token = NULL, worker = NULL, started = NULL
WHERE run = :run AND id = :task AND token = :token;

-- name: void_running
-- Let all RUNNING tasks wait again, except those of living workers, because the file is a copy and their attempts belong
-- to the original.
UPDATE tasks
SET status = CASE WHEN (SELECT held FROM runs WHERE runs.id = run) THEN 'HOLD' ELSE 'WAITING' END,
    token = NULL, worker = NULL, started = NULL
WHERE status = 'RUNNING' AND worker NOT IN (SELECT value FROM json_each(:alive));

-- name: void_workers
-- Remove all workers but the living ones, because the file is a copy and the workers belong to the original.
DELETE FROM workers WHERE id NOT IN (SELECT value FROM json_each(:alive));

-- name: get_meta
-- Return the value of a key.
SELECT value FROM meta WHERE key = :key;

-- name: set_meta
-- Set the value of a key.
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- name: raise_latest
-- Note the time of a new run. The latest time stays unknown as long as no command has set it.
UPDATE meta SET value = max(value, :time) WHERE key = 'latest';

-- name: advance_tip
-- Store that the queue agrees with the commit `tip`, if it agreed with the parent of this commit.
UPDATE meta SET value = :tip WHERE key = 'tip' AND value = :parent;
