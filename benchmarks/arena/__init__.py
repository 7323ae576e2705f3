"""The arena's table of all metrics, ours and those of other packages, and its page."""
