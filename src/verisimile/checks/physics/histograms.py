"""Each feature's marginal in both samples, and planes of two: contents, pulls, distances."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from verisimile.core.arrays import Array, IntArray, frozen
from verisimile.core.errors import require
from verisimile.core.hists import EdgesLike, WeightedHistogram, as_edges, histogram_of
from verisimile.core.result import Result, register
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.inputs import EventsLike
from verisimile.samples.columns import comparable
from verisimile.samples.contents import (
    Contents,
    agreement,
    bin_edges,
    bin_pulls,
    cells_of,
    into_period,
    is_logarithmic,
    pool_contents,
    ratio_of,
)
from verisimile.samples.weighted import match_columns, shares

_BINS = 40  # of features whose edges are not given


@register("marginal-yardstick", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Yardstick(Result):
    """What an independent truth sample of the generated sample's size shows.

    Attributes
    ----------
    n
        Training events used.
    contents
        Their histogram.
    ratio, ratio_error
        Training over reference per bin ``(G,)``.
    chi2, dof, p_value, separation, distance
        As in :class:`MarginalPair`.
    """

    n: int
    contents: Contents
    ratio: Array
    ratio_error: Array
    chi2: float
    dof: int
    p_value: float
    separation: float
    distance: float


@register("marginal-pair", 1)
@dataclass(frozen=True, slots=True, eq=False)
class MarginalPair(Result):
    r"""One feature's marginal in the reference and in the generated sample.

    Attributes
    ----------
    edges
        Bin edges ``(G + 1,)``.
    logarithmic
        Whether the bins are equally wide in the logarithm.
    reference, generated
        Contents with their squares, under- and overflow included ``(G + 2,)``.
    ratio, ratio_error
        Generated over reference, both normalised, with the errors of both ``(G,)``.
    pulls
        Difference of normalised contents over its error for equal laws ``(G,)``.
    chi2, dof, p_value
        Of the shapes, with full covariance, cells merged to five effective events; of
        grouped rows over the factor by which groups multiply it.
    separation, separation_null
        Separation power in [0, 1] and its mean for equal laws.
    distance
        Wasserstein distance W1 in units of the reference's standard deviation, unbinned.
    train
        The same for training events, None without them.
    """

    feature: Feature
    edges: Array
    logarithmic: bool
    reference: Contents
    generated: Contents
    ratio: Array
    ratio_error: Array
    pulls: Array
    chi2: float
    dof: int
    p_value: float
    separation: float
    separation_null: float
    distance: float
    train: Yardstick | None
    listed: ClassVar[tuple[str, ...]] = ("edges", "densities", "ratio", "ratio_error", "pulls")

    def __repr__(self) -> str:
        return (
            f"MarginalPair({self.feature.name}, {self.pulls.size} bins, "
            f"chi2/dof={self.chi2:.1f}/{self.dof}, p={self.p_value:.3g}, "
            f"W1={self.distance:.3g} sd)"
        )

    def to_hists(self) -> dict[str, WeightedHistogram]:
        """Return the contents of both samples, and of training events, as boost-histograms.

        Sums of weights and of their squares, under- and overflow included, by the names
        ``reference``, ``generated`` and ``train``.
        """
        known = {"reference": self.reference, "generated": self.generated}
        if self.train is not None:
            known["train"] = self.train.contents
        name, label = self.feature.name, self.feature.title
        return {
            sample: histogram_of(self.edges, each.sumw, each.sumw2, name=name, label=label)
            for sample, each in known.items()
        }

    @property
    def densities(self) -> tuple[dict[str, float], ...]:
        """Normalised densities of both samples with their errors, for each bin."""
        names = ("reference", "reference_error", "generated", "generated_error")
        found = (*self.reference.density(self.edges), *self.generated.density(self.edges))
        return tuple(
            dict(zip(names, map(float, each), strict=True)) for each in zip(*found, strict=True)
        )

    @property
    def worst(self) -> tuple[float, float]:
        """Edges of the bin with the largest pull, NaN if there is none."""
        size = np.abs(np.nan_to_num(self.pulls))
        if not size.any():
            return math.nan, math.nan
        place = int(np.argmax(size))
        return float(self.edges[place]), float(self.edges[place + 1])


def marginal_pair(
    reference: EventsLike,
    generated: EventsLike,
    *,
    train: EventsLike | None = None,
    bins: int | Mapping[str, EdgesLike] = 40,
) -> tuple[MarginalPair, ...]:
    """Compare every feature's marginal in two samples, with weights of any sign and groups.

    Parameters
    ----------
    reference, generated
        Independent samples; features are matched by name.
    train
        Further truth events, of the law of `reference` and independent of it: the
        yardstick.  As many as the generated sample is worth are used.
    bins
        G, at most; the same for all samples.  Or the edges of features by name: arrays, or axes
        or histograms of boost-histogram or hist; other features have bins as usual.
    """
    reference, generated = comparable(reference=reference, generated=generated)
    if train is not None:
        _, train = comparable(reference=reference, train=train)
    other = match_columns(reference, generated)
    third = None if train is None else _as_many(match_columns(reference, train, "train"), generated)
    return tuple(_pair(feature, (reference, other, third), bins) for feature in reference.features)


def _pair(
    feature: Feature,
    samples: tuple[Events, Events, Events | None],
    bins: int | Mapping[str, EdgesLike],
) -> MarginalPair:
    reference, generated, train = samples
    given = {} if isinstance(bins, int) else bins
    if feature.name in given:
        edges = as_edges(given[feature.name], f"bins[{feature.name!r}]")
    else:
        number = bins if isinstance(bins, int) else _BINS
        edges = bin_edges(feature, [one.column(feature.name) for one in samples[:2]], bins=number)
    first = _contents(reference, feature, edges)
    ours, separation_null = _beside(feature, edges, first, reference, generated)
    return MarginalPair(
        feature=feature,
        edges=edges,
        logarithmic=is_logarithmic(edges),
        reference=first,
        generated=ours.contents,
        ratio=ours.ratio,
        ratio_error=ours.ratio_error,
        pulls=frozen(bin_pulls(first, ours.contents)[1:-1]),
        chi2=ours.chi2,
        dof=ours.dof,
        p_value=ours.p_value,
        separation=ours.separation,
        separation_null=separation_null,
        distance=ours.distance,
        train=None if train is None else _beside(feature, edges, first, reference, train)[0],
    )


def _beside(
    feature: Feature, edges: Array, contents: Contents, reference: Events, other: Events
) -> tuple[Yardstick, float]:
    """Return another sample beside the reference, and the mean separation for equal laws."""
    own = _contents(other, feature, edges)
    ratio, error = ratio_of(contents, own)
    found = agreement(contents, own)
    yardstick = Yardstick(
        n=other.n,
        contents=own,
        ratio=frozen(ratio),
        ratio_error=frozen(error),
        chi2=found.chi2,
        dof=found.dof,
        p_value=found.p_value,
        separation=found.separation,
        distance=wasserstein(reference, other, feature.name),
    )
    return yardstick, found.separation_null


def wasserstein(reference: Events, other: Events, name: str) -> float:
    r"""Return :math:`W_1 = \int |F - G|\, dx` over the reference's standard deviation.

    Of a periodic feature :math:`\min_c \int |F - G - c|\, dx` along the circle, and the
    deviation is that of the cosine and the sine together, as an arc.  NaN where the deviation
    is zero, or not real for signed weights.

    References
    ----------
    J. Rabin, J. Delon, Y. Gousseau, J. Math. Imaging Vis. 41 (2011) 147 (the circle).
    """
    feature = reference.features[reference.names.index(name)]
    own, theirs = shares(reference), shares(other)
    if feature.kind == "periodic":
        turns = [one.column(name) / feature.period % 1.0 for one in (reference, other)]
        return _around(turns[0], turns[1], own, theirs)
    first, second = reference.column(name), other.column(name)
    variance = float(own @ (first - own @ first) ** 2)
    values, apart = _steps(first, second, own, theirs)
    area = float(np.abs(apart[:-1]) @ np.diff(values))
    return area / float(np.sqrt(variance)) if variance > 0.0 else math.nan


def _around(first: Array, second: Array, own: Array, theirs: Array) -> float:
    """Return W1 of positions in turns, over the reference's deviation in turns."""
    variance = 1.0 - float(np.abs(own @ np.exp(2.0j * np.pi * first)) ** 2)
    values, apart = _steps(first, second, own, theirs)
    gaps = np.diff(values, append=values[0] + 1.0)
    # The best constant is a median of F - G along the circle.
    ranked = np.argsort(apart, kind="stable")
    middle = apart[ranked][int(np.searchsorted(np.cumsum(gaps[ranked]), 0.5))]
    area = float(np.abs(apart - middle) @ gaps)
    return area * 2.0 * np.pi / float(np.sqrt(variance)) if variance > 0.0 else math.nan


def _steps(first: Array, second: Array, own: Array, theirs: Array) -> tuple[Array, Array]:
    """Return all values in order, and F - G from each to the next."""
    values = np.concatenate([first, second])
    order = np.argsort(values, kind="stable")
    return values[order], np.cumsum(np.concatenate([own, -theirs])[order])


def _contents(events: Events, feature: Feature, edges: Array) -> Contents:
    cells = cells_of(into_period(events.column(feature.name), feature, edges[0]), edges)
    return Contents.of(cells, events.weights, edges.size + 1, group=events.group)


def _as_many(train: Events, generated: Events) -> Events:
    """Return evenly spaced training events, as many as the generated ones are worth."""
    rows = round(train.n * generated.n_effective / train.n_effective)
    if rows >= train.n:
        return train
    return train.take(np.linspace(0, train.n - 1, max(rows, 2)).astype(np.int64))


@register("pair-map", 1)
@dataclass(frozen=True, slots=True, eq=False)
class PairMap(Result):
    """Local difference of two samples in the plane of two features.

    Attributes
    ----------
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
    listed: ClassVar[tuple[str, ...]] = ("z",)

    def __repr__(self) -> str:
        names = " and ".join(feature.name for feature in self.features)
        largest = float(np.nanmax(np.abs(self.z))) if np.isfinite(self.z).any() else math.nan
        return f"PairMap({names}, {self.z.shape[0]}x{self.z.shape[1]}, max |z|={largest:.1f})"

    @property
    def difference(self) -> Array:
        """Generated minus reference ``(G, H)``."""
        return np.asarray(self.generated - self.reference)


def pair_map(
    reference: EventsLike, generated: EventsLike, names: tuple[str, str], *, bins: int = 15
) -> PairMap:
    """Return the local difference of two samples in the plane of two features.

    The `bins` edges along each are quantiles of both samples together, so that no region is
    without events by the choice of bins; repeated values make them fewer.
    """
    reference, generated = comparable(reference=reference, generated=generated)
    require(bins >= 1, "bins", got=bins, expected="at least one bin")
    first = reference.select(names)
    second = match_columns(first, generated.select(names))
    both = np.concatenate([first.x, second.x])
    edges = _quantiles(both[:, 0], bins), _quantiles(both[:, 1], bins)
    shape = (edges[0].size - 1, edges[1].size - 1)
    ours, theirs = (
        Contents.of(_plane_cells(one.x, edges), one.weights, shape[0] * shape[1], group=one.group)
        for one in (first, second)
    )
    enough = ours.enough(pool_contents(ours, theirs)) & theirs.enough(pool_contents(ours, theirs))
    z = np.where(enough, bin_pulls(ours, theirs), np.nan)
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


def _plane_cells(x: Array, edges: tuple[Array, ...]) -> IntArray:
    rows, columns = (np.searchsorted(edges[j][1:-1], x[:, j], "right") for j in (0, 1))
    return np.asarray(rows * (edges[1].size - 1) + columns, dtype=np.int64)
