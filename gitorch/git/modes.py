"""The modes of entries in git's trees and indexes (gitformat-index, "mode")."""

DIRECTORY = 0o040000
FILE = 0o100644
EXECUTABLE = 0o100755
LINK = 0o120000
