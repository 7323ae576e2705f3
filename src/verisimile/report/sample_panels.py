"""Counts of the truth and of a family's best and worst sample, on one grid, to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from verisimile.checks.precision_recall.band import Band
from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import InputError
from verisimile.core.result import register
from verisimile.data.events import Events, match_features
from verisimile.data.feature import Feature

__all__ = ["SamplePanel", "SamplePanels", "sample_panels"]

_SHOWN = 2
_COARSEST, _FINEST = 20, 48
_TAIL = 0.001  # of the truth, outside the frame at each end before it is widened
_MARGIN = 0.08
_STEEP = 20.0  # range over median from which a positive feature has logarithmic bins


@register("sample-panel", 1)
@dataclass(frozen=True, slots=True, eq=False)
class SamplePanel:
    """Counts of one sample in the frame of a panel.

    Attributes
    ----------
    source
        Name of the sample.
    auc
        Area under its curve; None for the truth.
    counts
        Events in each bin ``(G,)`` or ``(G, G)``.
    n
        Events, those outside and those that are not finite included.
    n_missed
        Events that are not finite.
    """

    source: str
    auc: float | None
    counts: IntArray
    n: int
    n_missed: int

    @property
    def n_outside(self) -> int:
        """Finite events outside the frame."""
        return self.n - self.n_missed - int(self.counts.sum())


@register("sample-panels", 1)
@dataclass(frozen=True, slots=True, eq=False)
class SamplePanels:
    """The truth, and the samples of largest and of smallest area of each family.

    Attributes
    ----------
    features
        One or two: the first ones of the truth.
    n_features
        Features that were compared.
    edges
        Bin edges of each feature shown ``(G + 1,)``.
    truth
        The truth.
    best, worst
        One of each family.
    """

    features: tuple[Feature, ...]
    n_features: int
    edges: tuple[Array, ...]
    truth: SamplePanel
    best: tuple[SamplePanel, ...]
    worst: tuple[SamplePanel, ...]


def sample_panels(
    truth: Events,
    groups: Sequence[Sequence[Events | npt.ArrayLike]],
    bands: Sequence[Band],
    sources: Sequence[Sequence[str]],
) -> SamplePanels:
    """Return the counts of the truth, and of each family's best and worst sample.

    Parameters
    ----------
    truth
        The reference of the bands.
    groups
        Samples of each family, in the order of its band; arrays may hold rows that are not
        finite.
    bands
        One per family.
    sources
        Names of the samples of each family.

    Raises
    ------
    InputError
        If there are not as many names and curves as samples.
    """
    for group, band, names in zip(groups, bands, sources, strict=True):
        if not len(group) == len(band.auc) == len(names):
            raise InputError(
                "sources",
                got=f"{len(names)} names, {len(group)} samples, {len(band.auc)} curves",
                expected="as many of each",
            )
    smallest = min(len(_rows(sample, truth)) for group in groups for sample in group)
    bins = int(np.clip(np.sqrt(min(smallest, truth.n)) / 1.5, _COARSEST, _FINEST))
    edges = tuple(_edges(column, bins) for column in truth.x.T[:_SHOWN])

    def panel(family: int, member: int) -> SamplePanel:
        x, auc = _rows(groups[family][member], truth), float(bands[family].auc[member])
        return _panel(sources[family][member], auc, x, edges)

    return SamplePanels(
        features=truth.features[:_SHOWN],
        n_features=truth.d,
        edges=edges,
        truth=_panel("truth", None, truth.x, edges),
        best=tuple(panel(i, band.best) for i, band in enumerate(bands)),
        worst=tuple(panel(i, band.worst) for i, band in enumerate(bands)),
    )


def _rows(sample: Events | npt.ArrayLike, truth: Events) -> Array:
    if isinstance(sample, Events):
        return match_features(sample, truth.features).x
    return np.asarray(sample, dtype=np.float64)


def _edges(column: Array, bins: int) -> Array:
    low, middle, high = np.quantile(column, (_TAIL, 0.5, 1.0 - _TAIL))
    if low > 0.0 and high > _STEEP * middle:
        return np.geomspace(low, high, bins + 1)
    margin = _MARGIN * (high - low) or 0.5
    return np.linspace(low - margin, high + margin, bins + 1)


def _panel(source: str, auc: float | None, x: Array, edges: tuple[Array, ...]) -> SamplePanel:
    finite = x[np.isfinite(x).all(axis=1)]
    counts, _ = np.histogramdd(finite[:, : len(edges)], bins=edges)
    return SamplePanel(source, auc, counts.astype(np.int64), len(x), len(x) - len(finite))
