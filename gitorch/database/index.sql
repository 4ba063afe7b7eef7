-- Every statement of the index, by name; its tables first. What is in it is taken from the records of one commit of the
-- results branch, `tip`, and can always be taken from them again.

-- name: schema
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- A run as its record has it. Names and labels are UTF-8, with what is no text of a file's name let through. `told` is the
-- JSON of its params, of what is swept, and of its metrics; `live` that of how it is held and of its tasks, of a run that is
-- not over.
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    created TEXT NOT NULL,
    name BLOB NOT NULL,
    label BLOB NOT NULL,
    status TEXT NOT NULL,
    "commit" TEXT NOT NULL,
    told TEXT NOT NULL,
    started TEXT,
    ended TEXT,
    duration_s REAL,
    clone TEXT NOT NULL,
    identity TEXT NOT NULL,
    live TEXT
) STRICT;

CREATE INDEX runs_newest ON runs (created, id);
CREATE INDEX runs_by_name ON runs (name, created, id);
CREATE INDEX runs_by_label ON runs (label, created, id);
CREATE INDEX runs_by_status ON runs (status);
CREATE INDEX runs_by_identity ON runs (identity);

-- The complete tasks. `name` is the run's; `duration_s` is of those that were computed in this run, `key` of those that
-- the cache knows.
CREATE TABLE complete (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    task TEXT NOT NULL,
    name BLOB NOT NULL,
    duration_s REAL,
    ended TEXT,
    key TEXT,
    PRIMARY KEY (run, task)
) STRICT, WITHOUT ROWID;

CREATE INDEX complete_by_kind ON complete (name, task, duration_s);
CREATE INDEX complete_by_key ON complete (key, ended) WHERE key IS NOT NULL;
CREATE INDEX complete_with_key ON complete (name, task, ended) WHERE key IS NOT NULL;

-- name: get_meta
SELECT value FROM meta WHERE key = :key;

-- name: set_meta
INSERT INTO meta (key, value) VALUES (:key, :value);

-- name: forget_meta
DELETE FROM meta WHERE key = :key;

-- name: forget_all
DELETE FROM runs;

-- name: forget
DELETE FROM runs WHERE id = :run;

-- name: add
INSERT INTO runs (id, name, label, status, "commit", told, created, started, ended, duration_s, clone, identity, live)
VALUES (:id, :name, :label, :status, :commit, :told, :created, :started, :ended, :duration_s, :clone, :identity, :live);

-- name: add_complete
INSERT INTO complete (run, task, name, duration_s, ended, key) VALUES (:run, :task, :name, :duration_s, :ended, :key);

-- name: rows
-- Newest first.
SELECT id, name, label, status, "commit", told, created, started, ended, duration_s, clone, identity, live
FROM runs ORDER BY created DESC, id DESC;

-- name: rows_of
SELECT id, name, label, status, "commit", told, created, started, ended, duration_s, clone, identity, live
FROM runs WHERE id IN (SELECT value FROM json_each(:ids)) ORDER BY created DESC, id DESC;

-- name: live_rows
-- Of the runs that are not over.
SELECT id, name, label, status, "commit", told, created, started, ended, duration_s, clone, identity, live
FROM runs WHERE status NOT IN ('COMPLETE', 'FAILED') ORDER BY created DESC, id DESC;

-- name: counts
SELECT status, count(*) AS count FROM runs GROUP BY status;

-- name: newest
SELECT id FROM runs ORDER BY created DESC, id DESC LIMIT 1 OFFSET :back;

-- name: called
-- The newest that has this id, label or name.
SELECT id FROM (
    SELECT id, created FROM runs WHERE id = :id
    UNION ALL
    SELECT * FROM (SELECT id, created FROM runs WHERE label = :name ORDER BY created DESC, id DESC LIMIT 1)
    UNION ALL
    SELECT * FROM (SELECT id, created FROM runs WHERE name = :name ORDER BY created DESC, id DESC LIMIT 1)
) ORDER BY created DESC, id DESC LIMIT 1;

-- name: beginning
-- Those whose id, of hexadecimal digits, begins so.
SELECT id, name, label, created FROM runs WHERE id >= :prefix AND id < :prefix || 'g' ORDER BY created DESC, id DESC;

-- name: names
-- What runs are called, the newest first.
SELECT name FROM runs GROUP BY name ORDER BY max(created) DESC;

-- name: by_identity
-- Newest last.
SELECT identity, id, status, label FROM runs
WHERE status != 'FAILED' AND (:identities IS NULL OR identity IN (SELECT value FROM json_each(:identities)))
ORDER BY created, id;

-- name: durations
-- How long the complete tasks of one kind took.
SELECT duration_s FROM complete WHERE name = :name AND task = :task AND duration_s IS NOT NULL;

-- name: computed
-- The complete tasks with this key of the cache, newest first.
SELECT run, task FROM complete WHERE key = :key ORDER BY ended DESC, run;

-- name: computed_like
-- The runs of this name in which this task is complete and has a key, newest first.
SELECT run FROM complete WHERE name = :name AND task = :task AND key IS NOT NULL ORDER BY ended DESC, run;
