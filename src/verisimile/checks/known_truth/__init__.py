"""One sample against a known distribution function or density."""
