"""Two-sample tests: one permutation engine and the statistics that it calibrates."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
