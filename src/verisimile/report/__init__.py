"""Figures and pages made from results, without computation."""
