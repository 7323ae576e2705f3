"""The papers' experiments: each is one command, one JSON file and one page."""
