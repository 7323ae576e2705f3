"""One module for each family of subjects; a module put here joins the gauntlet."""
