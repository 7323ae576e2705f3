"""``python -m verisimile``: the command line, where no script of that name is on the path."""

from verisimile.app.cli import main

if __name__ == "__main__":
    main()
