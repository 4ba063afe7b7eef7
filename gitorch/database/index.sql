-- All statements for the index of runs, by name. The tables come first. The index is made from the records at one commit
-- of the results branch, which is stored in `meta` as `tip`. The index can always be made again.

-- name: schema
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- A run as its record describes it.
--   sorted       the time by which runs are sorted: `created`, or later if a clock was wrong (see `Record.sorted_at`)
--   name, label  UTF-8. Bytes of a file name that are not valid text are stored as surrogates
--   summary      JSON: [params, the names of the swept params, metrics, the names of the changed params, params of tasks]
--   verified     the newest verdict on a repetition. NULL if there is none
--   invalid      why the results of the run are not to be trusted. NULL if they are
--   live         JSON: [the hold of the run, its tasks]. NULL if the run is over
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    sorted TEXT NOT NULL,
    created TEXT NOT NULL,
    name BLOB NOT NULL,
    label BLOB NOT NULL,
    status TEXT NOT NULL,
    "commit" TEXT NOT NULL,
    summary TEXT NOT NULL,
    started TEXT,
    ended TEXT,
    duration_s REAL,
    clone TEXT NOT NULL,
    identity TEXT NOT NULL,
    rerun_of TEXT,
    verified TEXT,
    invalid TEXT,
    live TEXT
) STRICT;

CREATE INDEX runs_newest ON runs (sorted, id);
CREATE INDEX runs_by_name ON runs (name, sorted, id);
CREATE INDEX runs_by_label ON runs (label, sorted, id);
CREATE INDEX runs_by_status ON runs (status);
CREATE INDEX runs_by_end ON runs (ended, status);
CREATE INDEX runs_by_identity ON runs (identity);

-- A run whose record cannot be read.
--   reason    UTF-8, as `name`
--   is_newer  1 if a newer gitorch has written the record
CREATE TABLE unreadable (
    id TEXT PRIMARY KEY,
    reason BLOB NOT NULL,
    is_newer INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A complete task.
--   name        the name of its run
--   duration_s  how many seconds it took. NULL if it reuses the results of another run
--   key         its cache key. NULL if the task is not cached, or if its results are not to be trusted
--   host        the machine that it ran on
--   kind        UTF-8. The same for tasks with the same method or command
CREATE TABLE complete_tasks (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    task TEXT NOT NULL,
    name BLOB NOT NULL,
    duration_s REAL,
    ended TEXT,
    key TEXT,
    host TEXT,
    kind BLOB NOT NULL,
    PRIMARY KEY (run, task)
) STRICT, WITHOUT ROWID;

CREATE INDEX complete_by_kind ON complete_tasks (kind, ended) WHERE duration_s IS NOT NULL;
CREATE INDEX complete_by_key ON complete_tasks (key, ended) WHERE key IS NOT NULL;
CREATE INDEX complete_with_key ON complete_tasks (name, task, ended) WHERE key IS NOT NULL;

-- name: get_meta
-- Return the value of a key.
SELECT value FROM meta WHERE key = :key;

-- name: set_meta
-- Add a key that has no value.
INSERT INTO meta (key, value) VALUES (:key, :value);

-- name: forget_meta
-- Remove a key and its value.
DELETE FROM meta WHERE key = :key;

-- name: forget_all
-- Remove all runs and their tasks.
DELETE FROM runs;

-- name: forget_all_unreadable
-- Remove all runs whose records cannot be read.
DELETE FROM unreadable;

-- name: forget
-- Remove a run and its tasks.
DELETE FROM runs WHERE id = :run;

-- name: forget_unreadable
-- Remove a run whose record could not be read.
DELETE FROM unreadable WHERE id = :run;

-- name: add_unreadable
-- Add a run whose record cannot be read.
INSERT INTO unreadable (id, reason, is_newer) VALUES (:id, :reason, :is_newer);

-- name: unreadable
-- Return the runs whose records cannot be read.
SELECT id, reason, is_newer FROM unreadable ORDER BY id;

-- name: add
-- Add a run that is not in the index.
INSERT INTO runs (id, name, label, status, "commit", summary, sorted, created, started, ended, duration_s, clone, identity, rerun_of, verified, invalid, live)
VALUES (:id, :name, :label, :status, :commit, :summary, :sorted, :created, :started, :ended, :duration_s, :clone, :identity, :rerun_of, :verified, :invalid, :live);

-- name: add_complete
-- Add a complete task of a run that is in the index.
INSERT INTO complete_tasks (run, task, name, duration_s, ended, key, host, kind)
VALUES (:run, :task, :name, :duration_s, :ended, :key, :host, :kind);

-- name: rows
-- Return all runs, newest first.
SELECT id, name, label, status, "commit", summary, sorted, created, started, ended, duration_s, clone, identity, rerun_of, verified, invalid, live
FROM runs ORDER BY sorted DESC, id DESC;

-- name: rows_of
-- Return the runs with these ids, newest first.
SELECT id, name, label, status, "commit", summary, sorted, created, started, ended, duration_s, clone, identity, rerun_of, verified, invalid, live
FROM runs WHERE id IN (SELECT value FROM json_each(:ids)) ORDER BY sorted DESC, id DESC;

-- name: live_rows
-- Return the runs that are not over, newest first.
SELECT id, name, label, status, "commit", summary, sorted, created, started, ended, duration_s, clone, identity, rerun_of, verified, invalid, live
FROM runs WHERE status NOT IN ('COMPLETE', 'FAILED') ORDER BY sorted DESC, id DESC;

-- name: counts
-- Count the runs in each status.
SELECT status, count(*) AS count FROM runs GROUP BY status;

-- name: counts_since
-- Count the runs in each status that ended at a time or later.
SELECT status, count(*) AS count FROM runs WHERE ended >= :since GROUP BY status;

-- name: newest
-- Return the latest run (0), the one before it (1), and so on.
SELECT id FROM runs ORDER BY sorted DESC, id DESC LIMIT 1 OFFSET :back;

-- name: latest_time
-- Return the time of the run that is sorted as the newest.
SELECT max(sorted) AS sorted FROM runs;

-- name: called
-- Return the newest run with this id or name. Each part of the UNION reads one entry of an index.
SELECT id FROM (
    SELECT id, sorted FROM runs WHERE id = :id
    UNION ALL
    SELECT * FROM (SELECT id, sorted FROM runs WHERE name = :name ORDER BY sorted DESC, id DESC LIMIT 1)
) ORDER BY sorted DESC, id DESC LIMIT 1;

-- name: all_called
-- Return the runs with this label or name, newest first.
SELECT id FROM (
    SELECT id, sorted FROM runs WHERE label = :name UNION SELECT id, sorted FROM runs WHERE name = :name
) ORDER BY sorted DESC, id DESC;

-- name: unfinished_called
-- Return the runs of this name that are not over, newest first.
SELECT id FROM runs WHERE name = :name AND status NOT IN ('COMPLETE', 'FAILED') ORDER BY sorted DESC, id DESC;

-- name: all_labelled
-- Return the runs with this label, newest first.
SELECT id, name, label, identity, created FROM runs WHERE label = :label ORDER BY sorted DESC, id DESC;

-- name: labelled_with
-- Return the runs whose labels contain these bytes, newest first. This reads all labels.
SELECT id, name, label, identity, created FROM runs WHERE instr(label, :word) ORDER BY sorted DESC, id DESC;

-- name: beginning
-- Return the runs whose ids begin with this prefix, newest first. Ids consist of hex digits, which all sort before `g`.
SELECT id, name, label, identity, created FROM runs WHERE id >= :prefix AND id < :prefix || 'g' ORDER BY sorted DESC, id DESC;

-- name: labelled
-- Return the newest runs whose labels lie between two texts.
SELECT id, name, label, identity, created FROM runs WHERE label >= :first AND label < :last ORDER BY sorted DESC, id DESC LIMIT :most;

-- name: newest_rows
-- Return the newest runs, of one status if `status` is not NULL.
SELECT id, name, label, status, "commit", summary, sorted, created, started, ended, duration_s, clone, identity, rerun_of, verified, invalid, live
FROM runs WHERE :status IS NULL OR status = :status ORDER BY sorted DESC, id DESC LIMIT :most;

-- name: complete_tasks_of
-- Return the complete tasks of a run.
SELECT task FROM complete_tasks WHERE run = :run ORDER BY ended;

-- name: names
-- Return the names of runs, the most recently used first.
SELECT name FROM runs GROUP BY name ORDER BY max(sorted) DESC;

-- name: by_identity
-- Return the runs that are neither FAILED nor invalid, newest last. If `identities` (a JSON list) is not NULL, return only runs with
-- one of these identities.
SELECT identity, id, status, label FROM runs
WHERE status != 'FAILED' AND invalid IS NULL AND (:identities IS NULL OR identity IN (SELECT value FROM json_each(:identities)))
ORDER BY sorted, id;

-- name: newest_labelled
-- Return the runs with one of these labels (a JSON list) that are neither FAILED nor invalid, newest last.
SELECT label, id, identity, "commit", started IS NOT NULL AS ran FROM runs
WHERE status != 'FAILED' AND invalid IS NULL AND label IN (SELECT CAST(value AS BLOB) FROM json_each(:labels))
ORDER BY sorted, id;

-- name: durations
-- Return the durations, in seconds, of the newest complete tasks of a kind, with their ids, machines and params.
SELECT complete_tasks.duration_s, task, host, summary FROM complete_tasks JOIN runs ON id = run
WHERE kind = :kind AND complete_tasks.duration_s IS NOT NULL ORDER BY complete_tasks.ended DESC LIMIT :most;

-- name: computed
-- Return the complete tasks with this cache key, those of the newest run first. The clocks of two machines can disagree
-- about which task ended later, so that the order of the runs counts.
SELECT run, task FROM complete_tasks JOIN runs ON id = run
WHERE key = :key ORDER BY sorted DESC, id DESC, complete_tasks.ended DESC;

-- name: computed_like
-- Return the runs of this name in which this task is complete and has a cache key, newest first.
SELECT run FROM complete_tasks JOIN runs ON id = run
WHERE complete_tasks.name = :name AND task = :task AND key IS NOT NULL ORDER BY sorted DESC, id DESC;
