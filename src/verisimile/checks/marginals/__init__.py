"""Marginals of a test sample against the mixture and its profiled fits."""
