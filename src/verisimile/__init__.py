"""Statistical validation of learned densities; names are loaded when first used, from ``.pyi``."""

from importlib.metadata import PackageNotFoundError, version

import lazy_loader

from verisimile.core.presenter import presented_by

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

presented_by("verisimile.report.notebook")

try:
    __version__ = version("verisimile")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+unknown"
