"""Forms of deviation from a density: Gaussian kernels, and an exponential tilt."""
