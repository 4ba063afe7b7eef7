-- Upgrade from format 2, which had no cache keys, so that results could not be reused.

ALTER TABLE tasks ADD COLUMN key TEXT;

DROP VIEW claimable;

CREATE VIEW claimable AS
SELECT t.rowid AS row, t.run, t.id, t.priority, t.seq, t.position, t.not_before, t.ended, t.cpus, t.gpus, t.memory,
    t.key
FROM tasks AS t JOIN runs AS r ON r.id = t.run
WHERE t.status = 'WAITING' AND NOT r.held AND NOT r.doomed
  AND NOT EXISTS (
      SELECT 1 FROM needs AS n JOIN tasks AS unfinished ON unfinished.run = n.run AND unfinished.id = n.needed
      WHERE n.run = t.run AND n.task = t.id
  );

CREATE VIEW computing AS
SELECT key, run, id FROM tasks
WHERE status = 'RUNNING' AND key IS NOT NULL AND worker IN (SELECT id FROM workers);
