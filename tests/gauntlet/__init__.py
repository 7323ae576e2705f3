"""The gauntlet: every public p-value and interval on a grid of settings where the null is true."""
