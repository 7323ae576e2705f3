"""Samplers without a density."""
