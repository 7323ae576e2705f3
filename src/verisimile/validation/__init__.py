"""The battery as a whole: what a study asks for, and everything that its samples show."""
