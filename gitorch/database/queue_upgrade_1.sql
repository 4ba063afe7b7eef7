-- Upgrade from format 1, which had no stored requests, no automatic retries and no resources. All rows are kept, including
-- RUNNING tasks.

ALTER TABLE runs ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN doomed INTEGER NOT NULL DEFAULT 0;

ALTER TABLE tasks ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN losses INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN not_before TEXT;
ALTER TABLE tasks ADD COLUMN ended TEXT;
ALTER TABLE tasks ADD COLUMN cpus REAL NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN gpus INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN memory INTEGER NOT NULL DEFAULT 0;

CREATE INDEX tasks_with_resources ON tasks (run) WHERE cpus > 0 OR gpus > 0 OR memory > 0;

DROP VIEW claimable;

CREATE VIEW claimable AS
SELECT t.rowid AS row, t.run, t.id, t.priority, t.seq, t.position, t.not_before, t.ended, t.cpus, t.gpus, t.memory
FROM tasks AS t JOIN runs AS r ON r.id = t.run
WHERE t.status = 'WAITING' AND NOT r.held AND NOT r.doomed
  AND NOT EXISTS (
      SELECT 1 FROM needs AS n JOIN tasks AS unfinished ON unfinished.run = n.run AND unfinished.id = n.needed
      WHERE n.run = t.run AND n.task = t.id
  );
