-- The memory of what files hold. Paths are bytes, as the file system has them; `age` grows with every entry, so the
-- lowest are the oldest.

-- name: create
CREATE TABLE digests (
  age INTEGER PRIMARY KEY,
  path BLOB NOT NULL UNIQUE,
  facts TEXT NOT NULL,
  sha256 TEXT NOT NULL
) STRICT;

-- What a file holds, if it is still as it was.
-- name: recall
SELECT sha256 FROM digests WHERE path = :path AND facts = :facts;

-- In the place of what was known of the path.
-- name: remember
INSERT OR REPLACE INTO digests (path, facts, sha256) VALUES (:path, :facts, :sha256);

-- All but the newest.
-- name: forget
DELETE FROM digests WHERE age <= (SELECT max(age) FROM digests) - :kept;
