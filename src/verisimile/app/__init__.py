"""The command line: parsing, stages, exit codes."""
