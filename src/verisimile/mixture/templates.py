r"""Histograms with their errors as independent variations: what an analysis takes.

.. math:: h = n\,P, \qquad \mathrm{Cov}(h) = \sum_k v_k v_k^T + \mathrm{diag}(s^2)

with the contents P of all bins.  The v are eigenvectors of the covariance times the roots of its
eigenvalues: one standard deviation each, uncorrelated with one another, correlated between bins.
What the finite number of events that fill the bins adds, s, is separate: it is independent
between bins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from scipy import linalg

from verisimile.core.arrays import Array, frozen
from verisimile.core.errors import require, require_one_of
from verisimile.core.hists import EdgesLike, WeightedHistogram, as_edges, histogram_of
from verisimile.core.result import Result, register
from verisimile.data.feature import Feature

if TYPE_CHECKING:
    from verisimile.core.canonical import JSON

_NEGLIGIBLE = 1e-10  # of the largest eigenvalue of the covariance


@register("template-axis", 1)
@dataclass(frozen=True, slots=True, eq=False)
class TemplateAxis(Result):
    """One axis of a histogram: a feature and edges ``(G + 1,)``."""

    feature: Feature
    edges: Array

    @property
    def bins(self) -> int:
        """G."""
        return int(self.edges.size - 1)


@register("templates", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Templates(Result):
    r"""A histogram, its variations by one standard deviation, and its statistical errors.

    Attributes
    ----------
    axes
        One per feature; bins run along the last one first.
    nominal
        Contents ``(G,)``, in events.
    variations
        Changes of the contents ``(k, G)``, independent of each other, largest first.
    statistical
        Errors ``(G,)`` from the events that filled the bins.
    """

    axes: tuple[TemplateAxis, ...]
    nominal: Array
    variations: Array
    statistical: Array
    listed: ClassVar[tuple[str, ...]] = ("nominal", "statistical")

    def __repr__(self) -> str:
        """Return one line: features, bins, variations."""
        names = ", ".join(axis.feature.name for axis in self.axes)
        return (
            f"Templates({names}: {self.nominal.size} bins, {self.nominal.sum():.6g} events, "
            f"{len(self.variations)} variations)"
        )

    @property
    def covariance(self) -> Array:
        """Covariance of the contents ``(G, G)``, statistical part included."""
        return self.variations.T @ self.variations + np.diag(self.statistical**2)

    @property
    def errors(self) -> Array:
        """Errors of the contents ``(G,)``, statistical part included."""
        return np.asarray(np.sqrt((self.variations**2).sum(axis=0) + self.statistical**2))

    def scaled(self, events: float) -> Templates:
        """Return the same for another number of events in all bins together."""
        factor = events / self.nominal.sum()
        return Templates(
            self.axes,
            frozen(self.nominal * factor),
            frozen(self.variations * factor),
            frozen(self.statistical * factor),
        )

    def to_hists(self, name: str = "model") -> dict[str, WeightedHistogram]:
        """Return histograms of boost-histogram: nominal, and every variation up and down.

        Raises
        ------
        InputError
            If there are several axes.
        """
        require(
            len(self.axes) == 1,
            "templates.to_hists",
            got=f"{len(self.axes)} axes",
            expected="one axis",
            remedy="Take templates of one feature, or `nominal` and `variations` themselves.",
        )
        axis = self.axes[0]
        hists = {name: self.nominal}
        for k, change in enumerate(self.variations):
            hists[f"{name}_var{k}Up"] = self.nominal + change
            hists[f"{name}_var{k}Down"] = self.nominal - change
        return {
            key: histogram_of(
                axis.edges, values, self.statistical**2, name=axis.feature.name, label=key
            )
            for key, values in hists.items()
        }

    def to_pyhf(
        self,
        signal: Sequence[float] | Array,
        observed: Sequence[float] | Array,
        *,
        name: str = "background",
        channel: str = "channel",
        poi: str = "mu",
    ) -> dict[str, JSON]:
        r"""Return a workspace of pyhf: a signal of free strength above this background.

        Every variation is a ``histosys`` of its own, Gaussian and independent of the others; the
        statistical part is one ``staterror``.  `signal` and `observed` are contents ``(G,)``.

        Raises
        ------
        InputError
            If they have another number of bins, or a bin of the background is not positive.
        """
        from verisimile.mixture.workspace import pyhf_workspace  # noqa: PLC0415  (it takes this)

        return pyhf_workspace(
            self, np.asarray(signal), np.asarray(observed), name=name, channel=channel, poi=poi
        )


class TemplateBins(NamedTuple):
    """The bins of several axes, and which of them events lie in."""

    axes: tuple[TemplateAxis, ...]
    columns: tuple[int, ...]

    @classmethod
    def of(cls, axes: Mapping[str, EdgesLike], features: Sequence[Feature]) -> TemplateBins:
        """Return the bins of edges by the names of features.

        Raises
        ------
        InputError
            For an unknown feature, or edges that do not rise.
        """
        require(axes, "axes", got="none", expected="edges by the name of a feature")
        names = [spec.name for spec in features]
        for each in axes:
            require_one_of(each, names, "axes")
        columns = tuple(names.index(each) for each in axes)
        made = tuple(
            TemplateAxis(features[j], frozen(as_edges(edges, f"axes[{names[j]!r}]")))
            for j, edges in zip(columns, axes.values(), strict=True)
        )
        return cls(made, columns)

    @property
    def bins(self) -> int:
        """Number of bins, G."""
        return int(np.prod([axis.bins for axis in self.axes]))

    def inside(self, x: Array) -> Array:
        """Return which bin each event ``(n, d)`` lies in ``(n, G)``, of zeros and ones.

        The last bin of an axis holds its upper edge; events outside lie in none.
        """
        cell = np.zeros(len(x), dtype=np.int64)
        within = np.ones(len(x), dtype=np.bool_)
        for axis, j in zip(self.axes, self.columns, strict=True):
            column = x[:, j]
            place = np.searchsorted(axis.edges, column, side="right") - 1
            place[column == axis.edges[-1]] = axis.bins - 1
            within &= (place >= 0) & (place < axis.bins)
            cell = cell * axis.bins + np.clip(place, 0, axis.bins - 1)
        found = np.zeros((len(x), self.bins))
        found[np.flatnonzero(within), cell[within]] = 1.0
        return found


def templates_of(
    axes: tuple[TemplateAxis, ...], nominal: Array, covariance: Array, statistical: Array
) -> Templates:
    """Return templates of contents ``(G,)`` with a covariance ``(G, G)`` and statistical errors.

    Raises
    ------
    InputError
        If no bin has content.
    """
    named = " and ".join(axis.feature.name for axis in axes)
    require(nominal.sum() > 0.0, f"axes of {named}", got="no event in any bin", expected="some")
    values, vectors = linalg.eigh(covariance)
    order = np.argsort(-values)
    kept = order[values[order] > _NEGLIGIBLE * max(float(values.max()), 0.0)]
    rows = (vectors[:, kept] * np.sqrt(values[kept])).T
    # The sign of an eigenvector is the library's; the largest entry is made positive.
    rows *= np.sign(rows[np.arange(len(rows)), np.abs(rows).argmax(axis=1)])[:, None]
    return Templates(axes, frozen(nominal), frozen(rows), frozen(statistical))


def require_positive(templates: Templates) -> None:
    """Raise InputError unless every bin has a positive content: a likelihood needs one."""
    empty = int((templates.nominal <= 0.0).sum())
    require(
        not empty,
        "templates",
        got=f"{empty} bins of the background without content",
        expected="a positive expectation in every bin",
        remedy="Merge bins, or draw more events.",
    )
