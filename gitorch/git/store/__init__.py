"""The object database and references: packs, trees, the results branch, artifacts."""
