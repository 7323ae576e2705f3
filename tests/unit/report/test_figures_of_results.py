"""Whoever holds a result can draw it, tabulate it, and look at it in a notebook."""

from __future__ import annotations
