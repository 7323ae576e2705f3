"""Sections of the report: what results say, and their figures."""
