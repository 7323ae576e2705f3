"""Precision–recall curves of generators, their bands over an ensemble, and comparisons of bands."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
