-- Every statement of the file digests, by name; the table comes first. Paths are bytes, as the file system has them.

-- name: create
-- `age` is the number of an entry: it grows with every new entry, so the lowest numbers are the oldest entries. `facts` is
-- the text of the file's size, times and inode at the moment when it was read.
CREATE TABLE digests (
  age INTEGER PRIMARY KEY,
  path BLOB NOT NULL UNIQUE,
  facts TEXT NOT NULL,
  sha256 TEXT NOT NULL
) STRICT;

-- name: discard
-- Remove the table of another format.
DROP TABLE IF EXISTS digests;

-- name: recall
-- Return the digest of a file that has not changed since it was read.
SELECT sha256 FROM digests WHERE path = :path AND facts = :facts;

-- name: remember
-- Add the digest of a file, in place of an earlier one of the same path.
INSERT OR REPLACE INTO digests (path, facts, sha256) VALUES (:path, :facts, :sha256);

-- name: forget
-- Remove all entries but the newest.
DELETE FROM digests WHERE age <= (SELECT max(age) FROM digests) - :kept;
