"""The w_i f_i mixture: weight fit, covariance, propagation, sampling."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
