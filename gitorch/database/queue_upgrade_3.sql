-- Upgrade from format 3, in which a run that had begun did not go on before others.

ALTER TABLE tasks ADD COLUMN begun INTEGER NOT NULL DEFAULT 0;

UPDATE tasks SET begun = 1
WHERE run IN (SELECT id FROM runs WHERE worker IS NOT NULL) OR run IN (SELECT run FROM tasks WHERE attempts > 0);

DROP INDEX tasks_in_order;

CREATE INDEX tasks_in_order ON tasks (status, priority DESC, begun DESC, seq, position);

DROP VIEW claimable;

CREATE VIEW claimable AS
SELECT t.rowid AS row, t.run, t.id, t.priority, t.begun, t.seq, t.position, t.not_before, t.ended, t.cpus, t.gpus,
    t.memory, t.key
FROM tasks AS t JOIN runs AS r ON r.id = t.run
WHERE t.status = 'WAITING' AND NOT r.held AND NOT r.doomed
  AND NOT EXISTS (
      SELECT 1 FROM needs AS n JOIN tasks AS unfinished ON unfinished.run = n.run AND unfinished.id = n.needed
      WHERE n.run = t.run AND n.task = t.id
  );
