"""Solvers of the weight fit behind one protocol."""
