"""The rules of texts: quantities, globs, placeholders, dotted keys and spelling suggestions."""
