"""One-dimensional comparisons of a test sample with the mixture and its profiled fits."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import numpy as np

from verisimile.checks.goodness.result import fitted_here
from verisimile.core.arrays import Array, IntArray, frozen
from verisimile.core.errors import require
from verisimile.core.hists import WeightedHistogram, histogram_of
from verisimile.core.result import Result, register
from verisimile.core.run import Run
from verisimile.data.description import worded
from verisimile.data.events import Events, match_features
from verisimile.data.feature import Feature
from verisimile.data.inputs import EventsLike, as_events
from verisimile.mixture.discrepancy.corrected import CorrectedMixture
from verisimile.mixture.model import Mixture
from verisimile.samples.contents import bin_edges, is_logarithmic
from verisimile.stats.intervals import garwood
from verisimile.stats.linalg import solve_spd


class FittedDensities(Protocol):
    """The two fitted densities of a profile test, relative to the mixture."""

    def reference(self, run: Run, n: int) -> tuple[Array, Array, Array]:
        r"""Return events of the mixture ``(n, d)``, :math:`p_0/\hat f` and :math:`p_1/\hat f`."""


class ProfileTest(Protocol):
    """What a comparison needs of a :class:`~verisimile.checks.goodness.result.Goodness`."""

    @property
    def fitted(self) -> FittedDensities | None:
        """The fitted densities, None in a result read back from disk."""

    @property
    def hypothesis(self) -> str:
        """What the null left free."""

    @property
    def n_members(self) -> int:
        """Members of the mixture that was tested."""

    @property
    def events_digest(self) -> str:
        """Content key of the test sample."""


@register("marginal-comparison", 1)
@dataclass(frozen=True, slots=True, eq=False)
class MarginalComparison(Result):
    r"""One feature's marginal: counts of the data, expectations of model and fits.

    Attributes
    ----------
    feature
        Specification of the feature.
    edges
        Bin edges ``(G + 1,)``.
    logarithmic
        Whether the bins are equally wide in the logarithm.
    counts, count_low, count_high
        Data per bin ``(G,)`` and their central 68.27 % Poisson intervals.
    expected
        REF: bin contents :math:`n P_b` of the mixture ``(G,)``.
    covariance
        Of `expected`, ``(G, G)``: weights and Monte-Carlo error of the members' contents.
    null, alternative
        Expectations of the profiled null and of the profiled alternative (LRT
        RECO), ``(G,)``; NaN in a bin without reference draws.
    pulls
        :math:`(n_b - n P_b) / \sqrt{n P_b + V_{bb}}`, ``(G,)``.
    underflow, overflow
        (data, expectation) below and above the bins.
    chi2, dof
        Pearson's statistic of all cells, outer ones included, neighbours merged
        to five expected events, with the full covariance; descriptive, since
        the mixture was not fitted to these bins.
    n_events, hypothesis, events_digest
        Size of the test sample, the null hypothesis, content key of the sample.
    """

    feature: Feature
    edges: Array
    logarithmic: bool
    counts: Array
    count_low: Array
    count_high: Array
    expected: Array
    covariance: Array
    null: Array
    alternative: Array
    pulls: Array
    underflow: tuple[float, float]
    overflow: tuple[float, float]
    chi2: float
    dof: int
    n_events: int
    hypothesis: str
    events_digest: str
    listed: ClassVar[tuple[str, ...]] = (
        "edges",
        "counts",
        "count_low",
        "count_high",
        "expected",
        "errors",
        "null",
        "alternative",
        "pulls",
    )

    def __repr__(self) -> str:
        """Return one line: feature, bins, chi2."""
        return (
            f"MarginalComparison({self.feature.name}, {self.counts.size} bins, "
            f"n={self.n_events}, chi2/dof={self.chi2:.1f}/{self.dof})"
        )

    def to_hists(self) -> dict[str, WeightedHistogram]:
        """Return the ``data`` and what is ``expected`` as boost-histograms.

        Variances are those of counts, and those that the mixture claims.
        """
        name, label = self.feature.name, self.feature.title
        data = histogram_of(self.edges, self.counts, self.counts, name=name, label=label)
        model = histogram_of(self.edges, self.expected, self.errors**2, name=name, label=label)
        return {"data": data, "expected": model}

    @property
    def errors(self) -> Array:
        """Standard deviations of `expected` ``(G,)``."""
        return np.sqrt(np.clip(np.diag(self.covariance), 0.0, None))


def marginal_comparisons(
    run: Run,
    mixture: Mixture,
    goodness: ProfileTest,
    events: EventsLike,
    *,
    bins: int = 40,
    draws: int = 20_000,
) -> tuple[MarginalComparison, ...]:
    r"""Compare each feature's marginal in a test sample with the mixture and both fits.

    The fits' bin contents come from events of the mixture with importance
    weights,

    .. math:: n \int_b p_1 \approx n P_b \,
              \langle p_1 / \hat f \rangle_{z \sim \hat f,\, z \in b},

    so that the ratio to REF carries no Monte-Carlo noise of the bin content.

    Parameters
    ----------
    run
        Random streams (``"draws"``) and storage of draws.
    mixture, goodness, events
        The tested mixture, the test's result, of this process, and its sample.
    bins
        G, at most.
    draws
        Events drawn per member for the contents, and from the mixture for the ratios.

    Raises
    ------
    InputError
        If `goodness` was read back from a file, or belongs to another mixture or sample.

    References
    ----------
    G. Badaracco et al., fig. 1 and eq. 3.
    """
    events = as_events(events, "events")
    matched = match_features(events, mixture.features)
    fitted = _checked(goodness, mixture, matched)
    reference, *relative = fitted.reference(run, draws)
    features = [_worded(*each) for each in zip(mixture.features, matched.features, strict=True)]
    edges = {
        feature.name: bin_edges(feature, pair, bins=bins)
        for feature, *pair in zip(features, matched.x.T, reference.T, strict=True)
    }
    outer = {name: cell_edges(inner) for name, inner in edges.items()}
    # A corrected mixture has draws of its own, which its errors are best known with.
    own = isinstance(mixture, CorrectedMixture)
    contents = mixture.histograms(outer, run, draws=None if own else draws)
    compared = []
    for feature, data, drawn in zip(features, matched.x.T, reference.T, strict=True):
        content, bounds = contents[feature.name], outer[feature.name]
        cells = Cells(
            np.histogram(data, bounds)[0].astype(np.float64),
            matched.n * content.values,
            matched.n**2 * content.covariance,
        )
        null, alternative = (bin_means(drawn, weights, bounds[1:-1]) for weights in relative)
        inner = edges[feature.name]
        compared.append(_comparison(feature, inner, cells, null, alternative, goodness))
    return tuple(compared)


def _worded(feature: Feature, given: Feature) -> Feature:
    """Return a feature of the mixture with the label that a sample has, and the unit of either."""
    return worded(replace(feature, label=given.label), (feature, given))


def _comparison(
    feature: Feature,
    edges: Array,
    cells: Cells,
    null: Array,
    alternative: Array,
    goodness: ProfileTest,
) -> MarginalComparison:
    counts, expected = cells.counts[1:-1], cells.expected[1:-1]
    intervals = np.array([garwood(int(count)) for count in counts])
    chi2, dof = cells.chi2()
    return MarginalComparison(
        feature=feature,
        edges=edges,
        logarithmic=is_logarithmic(edges),
        counts=frozen(counts),
        count_low=frozen(intervals[:, 0]),
        count_high=frozen(intervals[:, 1]),
        expected=frozen(expected),
        covariance=frozen(cells.covariance[1:-1, 1:-1]),
        null=frozen(expected * null),
        alternative=frozen(expected * alternative),
        pulls=frozen(cells.pulls()[1:-1]),
        underflow=(float(cells.counts[0]), float(cells.expected[0])),
        overflow=(float(cells.counts[-1]), float(cells.expected[-1])),
        chi2=chi2,
        dof=dof,
        n_events=int(cells.counts.sum()),
        hypothesis=goodness.hypothesis,
        events_digest=goodness.events_digest,
    )


def _checked(goodness: ProfileTest, mixture: Mixture, events: Events) -> FittedDensities:
    fitted = fitted_here(goodness.fitted)
    require(
        goodness.n_members == len(mixture.members),
        "goodness",
        got=f"the test of a mixture of {goodness.n_members} members",
        expected=f"the test of this mixture of {len(mixture.members)}",
        remedy='For the hypothesis "single" pass single(mixture).',
    )
    require(
        goodness.events_digest == events.digest,
        "events",
        got="another sample than was tested",
        expected="the tested sample",
    )
    return fitted


_BEYOND = 1e300
CHI2_EXPECTED = 5.0
"""Expected events from which a cell's count is nearly normal."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Counts, expectations ``(G + 2,)`` and their covariance, under- and overflow included."""

    counts: Array
    expected: Array
    covariance: Array

    def pulls(self) -> Array:
        r"""Return :math:`(n_b - nP_b) / \sqrt{nP_b + V_{bb}}`; NaN where nothing is expected."""
        variance = self.expected + np.diag(self.covariance)
        out = np.full(self.counts.size, np.nan)
        possible = variance > 0.0
        out[possible] = (self.counts - self.expected)[possible] / np.sqrt(variance[possible])
        return out

    def chi2(self) -> tuple[float, int]:
        r"""Return :math:`r^T D^{-1} r` with :math:`D = \mathrm{diag}(nP) + V` and cells - 1.

        D^-1 is a generalised inverse of the multinomial covariance D - nPP^T
        because the residuals, and the rows of V, sum to zero.
        """
        groups = _merged(self.expected)
        sums = (groups[:, None] == np.arange(groups[-1] + 1)).astype(np.float64).T
        residual = sums @ (self.counts - self.expected)
        covariance = np.diag(sums @ self.expected) + sums @ self.covariance @ sums.T
        return float(residual @ solve_spd(covariance, residual)), int(groups[-1])


def cell_edges(edges: Array) -> Array:
    """Return the edges with an outer cell on either side; the last bin holds its upper edge."""
    inner = edges.copy()
    # A selection cut is often the outer edge, and events may lie on it.
    inner[-1] = np.nextafter(inner[-1], math.inf)
    return np.concatenate([[-_BEYOND], inner, [_BEYOND]])


def bin_means(column: Array, weights: Array, edges: Array) -> Array:
    """Return the mean weight of the draws in each bin ``(G,)``; NaN where there are none."""
    drawn = np.histogram(column, edges)[0]
    total = np.histogram(column, edges, weights=weights)[0]
    means = np.full(drawn.size, math.nan)
    np.divide(total, drawn, out=means, where=drawn > 0)
    return means


def _merged(expected: Array) -> IntArray:
    """Return group numbers ``(cells,)`` of neighbours that hold five expected events together."""
    groups = np.zeros(expected.size, dtype=np.int64)
    current, content = 0, 0.0
    for cell, value in enumerate(expected):
        if content >= CHI2_EXPECTED and expected[cell:].sum() >= CHI2_EXPECTED:
            current, content = current + 1, 0.0
        content += float(value)
        groups[cell] = current
    return groups
