"""Marginals, moments, correlations, efficiencies, constraints: truth against generated events."""
