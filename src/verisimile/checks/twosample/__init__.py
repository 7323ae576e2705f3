"""Two-sample tests: one permutation engine and the statistics that it calibrates."""
