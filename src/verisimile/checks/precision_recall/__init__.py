"""Precision–recall curves of generators, their bands over an ensemble, and comparisons of bands."""
