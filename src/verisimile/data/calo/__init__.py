"""Showers of the CaloChallenge: files, geometry, features."""
