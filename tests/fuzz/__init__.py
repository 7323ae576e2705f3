"""Fuzzing of everything that reads events: damaged files, odd words, odd values in memory."""
