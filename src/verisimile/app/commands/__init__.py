"""One command a file: its options as a dataclass that typer reads, and what it does."""
