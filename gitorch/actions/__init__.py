"""One verb per file; values in, values out."""
