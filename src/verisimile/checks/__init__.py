"""Statistical checks; the packages inside do not import each other."""
