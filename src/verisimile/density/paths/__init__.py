"""Densities along a path from noise: flow matching and diffusion."""
