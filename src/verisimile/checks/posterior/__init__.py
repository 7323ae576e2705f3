"""Posteriors and other conditional densities against simulations whose truth is known."""
