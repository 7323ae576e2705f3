"""One sample against a density or distribution function that is known."""
