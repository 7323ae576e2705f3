"""Two samples: one statistic, all relabelings at once."""
