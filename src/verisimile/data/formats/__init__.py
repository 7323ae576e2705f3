"""File formats of events, one family per file; `registry` lists them."""
