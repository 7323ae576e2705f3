"""Statistics of two samples, one per file."""
