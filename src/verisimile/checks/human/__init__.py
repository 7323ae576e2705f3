"""Ratings by humans: forced choice, preference, scales, agreement."""
