"""Density estimators behind one protocol, and how to train them."""
