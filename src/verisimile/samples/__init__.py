"""What the checks of two samples share: pools, coordinates, draws of their null, copied rows."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
