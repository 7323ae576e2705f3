"""Kernel-augmented profile likelihood-ratio goodness of fit."""
