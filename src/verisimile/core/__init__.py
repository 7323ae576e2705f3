"""Errors, arrays, random streams, storage, execution: no statistics, no torch."""
