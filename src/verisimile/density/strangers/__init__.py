"""Models of other libraries as density estimators: one file for each library."""
