"""Histograms of boost-histogram and hist: their axes as edges, and ours as theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, as_vector
from verisimile.core.errors import require

if TYPE_CHECKING:
    from boost_histogram import Histogram
    from boost_histogram.storage import Weight


@runtime_checkable
class HasEdges(Protocol):
    """An axis of boost-histogram or hist, or whatever else has bin edges."""

    @property
    def edges(self) -> npt.ArrayLike:
        """Bin edges ``(G + 1,)``."""


@runtime_checkable
class HasAxes(Protocol):
    """A histogram of boost-histogram or hist."""

    @property
    def axes(self) -> Sequence[HasEdges]:
        """Its axes."""


EdgesLike: TypeAlias = npt.ArrayLike | HasEdges | HasAxes
"""Bin edges, an axis that has some, or a histogram of one axis."""

WeightedHistogram: TypeAlias = "Histogram[Weight]"
"""A histogram of boost-histogram with sums of weights and of their squares."""


def as_edges(value: EdgesLike, name: str) -> Array:
    """Return bin edges ``(G + 1,)`` of an array, an axis or a histogram of one axis.

    Raises
    ------
    InputError
        If a histogram has several axes, or the edges do not increase.

    Examples
    --------
    >>> import boost_histogram as bh
    >>> as_edges(bh.axis.Regular(2, 0.0, 1.0), "edges").tolist()
    [0.0, 0.5, 1.0]
    """
    if isinstance(value, HasAxes):
        require(
            len(value.axes) == 1,
            name,
            got=f"a histogram of {len(value.axes)} axes",
            expected="one of one axis",
            remedy="Project it: h.project('x').",
        )
        value = value.axes[0]
    found = as_vector(value.edges if isinstance(value, HasEdges) else value, name)
    rising = found.size >= 2 and bool((np.diff(found) > 0.0).all())
    require(rising, name, got=found.tolist(), expected="at least two increasing edges")
    return found


def histogram_of(
    edges: Array, values: Array, variances: Array, *, name: str = "", label: str = ""
) -> WeightedHistogram:
    """Return a histogram of boost-histogram with values and variances, ``hist.Hist(it)`` of hist.

    Parameters
    ----------
    edges
        Bin edges ``(G + 1,)``.
    values, variances
        Contents and their squared errors ``(G,)``, or ``(G + 2,)`` with under- and overflow.
    name, label
        Of the axis, as hist calls them.
    """
    import boost_histogram as bh  # noqa: PLC0415  (only those who want one pay for it)

    axis = bh.axis.Variable(list(edges), __dict__={"name": name, "label": label})
    found = bh.Histogram(axis, storage=bh.storage.Weight())
    flow = values.size == edges.size + 1
    view = cast("npt.NDArray[np.void]", found.view(flow=flow))
    view["value"], view["variance"] = values, variances
    return found
