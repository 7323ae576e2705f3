"""Mixtures and kernels as densities."""
