"""`--where`: its language in tokens, a grammar, and predicates over rows."""
