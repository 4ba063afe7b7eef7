-- All statements for the file digests, by name. The table comes first. Paths are bytes, as in the file system.

-- name: create
-- `age` is the number of an entry. Every new entry has a higher number, so the oldest entries have the lowest numbers.
-- `facts` is a text with the size, the times and the inode of the file at the moment when it was read.
CREATE TABLE digests (
  age INTEGER PRIMARY KEY,
  path BLOB NOT NULL UNIQUE,
  facts TEXT NOT NULL,
  sha256 TEXT NOT NULL
) STRICT;

-- name: discard
-- Remove a table that has another format.
DROP TABLE IF EXISTS digests;

-- name: recall
-- Return the digest of a file that has not changed since it was read.
SELECT sha256 FROM digests WHERE path = :path AND facts = :facts;

-- name: remember
-- Add the digest of a file. It replaces an earlier digest of the same path.
INSERT OR REPLACE INTO digests (path, facts, sha256) VALUES (:path, :facts, :sha256);

-- name: forget
-- Remove all entries except the newest `kept`.
DELETE FROM digests WHERE age <= (SELECT max(age) FROM digests) - :kept;
