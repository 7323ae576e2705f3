"""Does the generated sample fill the truth's support, and nothing else: beside null values."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
