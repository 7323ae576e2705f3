"""Who draws results and shows them in notebooks: named by the top, loaded when it is asked.

Results live in low layers and figures in a high one.  The package itself, which is above all
layers, says here which module presents them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from verisimile.core.errors import StoreError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Presenter(Protocol):
    """Module that draws results and writes them as HTML."""

    def draw(self, result: object, *, ax: Axes | None = None) -> Axes:
        """Draw a result."""

    def html(self, result: object) -> str:
        """Return a result as HTML."""


_named: list[str] = []


def presented_by(module: str) -> None:
    """Name the module that presents results."""
    _named[:] = [module]


def presenter() -> Presenter:
    """Return the module that presents results."""
    if not _named:
        raise StoreError("presenter", got="no module", expected="one named by presented_by")
    return cast(Presenter, import_module(_named[0]))
