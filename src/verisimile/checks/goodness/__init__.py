"""Kernel-augmented profile likelihood-ratio goodness of fit."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
