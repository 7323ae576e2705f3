"""Where in a plane of two features the samples differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array, BoolArray, IntArray, frozen
from verisimile.core.errors import InputError
from verisimile.core.result import register
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.samples.contents import Contents, bin_pulls, pooled
from verisimile.samples.weighted import matched


@register("pair-map", 1)
@dataclass(frozen=True, slots=True, eq=False)
class PairMap:
    """Local difference of two samples in the plane of two features.

    Attributes
    ----------
    features
        The two features.
    edges
        Edges along the first ``(G + 1,)`` and along the second ``(H + 1,)``.
    reference, generated
        Normalised contents ``(G, H)``.
    z
        Difference over error for equal laws ``(G, H)``; NaN where equal laws would give less
        than five events of either sample, ten effective ones with weights.
    """

    features: tuple[Feature, Feature]
    edges: tuple[Array, Array]
    reference: Array
    generated: Array
    z: Array

    def __repr__(self) -> str:
        """Return one line: features, cells, the largest pull."""
        names = " and ".join(feature.name for feature in self.features)
        largest = float(np.nanmax(np.abs(self.z))) if np.isfinite(self.z).any() else float("nan")
        return f"PairMap({names}, {self.z.shape[0]}x{self.z.shape[1]}, max |z|={largest:.1f})"

    @property
    def difference(self) -> Array:
        """Generated minus reference ``(G, H)``."""
        return np.asarray(self.generated - self.reference)


def pair_map(
    reference: Events, generated: Events, names: tuple[str, str], *, bins: int = 15
) -> PairMap:
    """Return the local difference of two samples in the plane of two features.

    The edges are quantiles of both samples together, so that no region is without
    events by the choice of bins; repeated values make them fewer.

    Parameters
    ----------
    reference, generated
        Independent samples with weights of any sign; features are matched by name.
    names
        Two features.
    bins
        Bins along each.

    Raises
    ------
    InputError
        If a name is missing, the two are the same, or `bins` is not positive.
    """
    if bins < 1:
        raise InputError("bins", got=bins, expected="at least one bin")
    first = reference.select(names)
    second = matched(first, generated.select(names))
    edges = tuple(_quantiles(np.concatenate([first.x[:, j], second.x[:, j]]), bins) for j in (0, 1))
    shape = (edges[0].size - 1, edges[1].size - 1)
    count = shape[0] * shape[1]
    ours, theirs = (
        Contents.of(_cells(one.x, edges), one.weights, count, group=one.group)
        for one in (first, second)
    )
    z = np.where(_enough(ours, theirs), bin_pulls(ours, theirs), np.nan)
    return PairMap(
        features=(first.features[0], first.features[1]),
        edges=(edges[0], edges[1]),
        reference=frozen(ours.shares.reshape(shape)),
        generated=frozen(theirs.shares.reshape(shape)),
        z=frozen(z.reshape(shape)),
    )


def _quantiles(values: Array, bins: int) -> Array:
    edges = np.unique(np.quantile(values, np.linspace(0.0, 1.0, bins + 1)))
    return frozen(edges if edges.size > 1 else [edges[0], np.nextafter(edges[0], np.inf)])


def _cells(x: Array, edges: tuple[Array, ...]) -> IntArray:
    rows, columns = (np.searchsorted(edges[j][1:-1], x[:, j], "right") for j in (0, 1))
    return np.asarray(rows * (edges[1].size - 1) + columns, dtype=np.int64)


def _enough(*samples: Contents) -> BoolArray:
    expected = pooled(*samples)
    return np.asarray(np.all([one.enough(expected) for one in samples], axis=0))
