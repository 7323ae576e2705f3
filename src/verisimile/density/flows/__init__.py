"""Normalizing flows and their trainers."""
