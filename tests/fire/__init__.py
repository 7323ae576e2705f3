"""A small study of all stages, and what befalls its processes."""
