"""Intervals, p-values, nulls, linear algebra: pure NumPy and SciPy, knows no events."""
