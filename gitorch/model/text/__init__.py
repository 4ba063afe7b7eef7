"""Text rules: quantities, globs, placeholders, key paths, spelling suggestions."""
