"""Two-sample statistics and the permutations that calibrate them."""
