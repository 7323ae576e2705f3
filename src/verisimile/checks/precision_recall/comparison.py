"""Are two families of generators different: along the curve, and in its area."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import stats

from verisimile.checks.precision_recall.band import Band, precision_recall_bands
from verisimile.checks.precision_recall.best import BestScore
from verisimile.checks.precision_recall.scores import Score
from verisimile.core.arrays import Array
from verisimile.core.errors import require, require_at_least
from verisimile.core.random import Seeds
from verisimile.core.result import Result, register
from verisimile.core.run import Run
from verisimile.data.inputs import EventsLike
from verisimile.stats.aggregate import benjamini_hochberg
from verisimile.stats.pvalues import PValue, add_one

_LEVEL = 0.95
_ALPHA = 0.05
_TINY = 1e-12
_SAME = 1.0 - 1e-9  # relabelings that reproduce the groups differ by rounding only
_PAIRINGS = 200
_LABEL = (
    "published, not calibrated: members of two ensembles have no partners, and a thousand "
    "tests are not corrected for their number"
)


@register("precision-recall-area-difference", 1)
@dataclass(frozen=True, slots=True)
class AreaDifference(Result):
    """Mean area of the first group minus that of the second.

    Attributes
    ----------
    low, high
        Studentised bootstrap interval over members, of content `level`.
    p_value
        Two-sided, by relabeling members.
    """

    value: float
    low: float
    high: float
    p_value: PValue
    level: float


@register("precision-recall-comparison", 1)
@dataclass(frozen=True, slots=True, eq=False)
class BandComparison(Result):
    """Two groups of curves, compared by relabeling their members.

    Attributes
    ----------
    theta
        Angles from the recall axis ``(L,)``.
    difference
        Mean distance from the origin, first group minus second ``(L,)``.
    p_value
        Of the largest studentised difference anywhere: one test of the whole curve.
    p_familywise
        P-value at each angle by max-T ``(L,)``: below 0.05 anywhere in at most 5 % of
        comparisons of equal families.
    p_pointwise
        P-value at each angle alone ``(L,)``.
    q
        `p_pointwise` by Benjamini and Hochberg ``(L,)``.
    auc
        Difference of the areas.
    published
        The published paired t-tests; None if not asked for.
    """

    theta: Array
    difference: Array
    p_value: PValue
    p_familywise: Array
    p_pointwise: Array
    q: Array
    auc: AreaDifference
    published: PairedTests | None
    n_first: int
    n_second: int
    warnings: tuple[str, ...] = ()
    listed: ClassVar[tuple[str, ...]] = ("theta", "difference", "p_familywise", "p_pointwise", "q")

    @property
    def fraction_familywise(self) -> float:
        """Share of angles significant at 5 % with the family-wise error held."""
        return float((self.p_familywise <= _ALPHA).mean())

    @property
    def fraction_discovered(self) -> float:
        """Share of angles significant with the false-discovery rate held at 5 %."""
        return float((self.q <= _ALPHA).mean())

    def __repr__(self) -> str:
        return (
            f"BandComparison({self.n_first} against {self.n_second} curves: "
            f"p={self.p_value.value:.4g}, {self.fraction_familywise:.0%} of angles significant; "
            f"auc difference {self.auc.value:+.4f} [{self.auc.low:+.4f}, {self.auc.high:+.4f}], "
            f"p={self.auc.p_value.value:.4g})"
        )


def compare_bands(
    run: Run,
    first: Sequence[EventsLike],
    second: Sequence[EventsLike],
    reference: EventsLike,
    *,
    score: Score | BestScore = BestScore(),  # noqa: B008  (frozen)
    permutations: int = 999,
    published: bool = False,
) -> BandComparison:
    """Return :func:`compare_curves` of the curves of two groups of generated samples.

    `first` and `second` are of independently trained generators of each family, at least three;
    no generator has seen `reference`.

    Examples
    --------
    >>> import numpy as np
    >>> import verisimile as vs
    >>> rng = np.random.default_rng(1)
    >>> truth, score = rng.normal(size=(400, 1)), vs.checks.precision_recall.LinearScore()
    >>> near = [rng.normal(0.2, 1.0, (400, 1)) for _ in range(4)]
    >>> far = [rng.normal(1.0, 1.0, (400, 1)) for _ in range(4)]
    >>> found = vs.compare_bands(vs.Run(vs.Seeds(1)), near, far, truth, score=score)
    >>> found.p_value.value
    0.039
    """
    one, other = precision_recall_bands(run, reference, [first, second], score=score, null_draws=0)
    return compare_curves(run, one, other, permutations=permutations, published=published)


def compare_curves(
    run: Run, first: Band, second: Band, *, permutations: int = 999, published: bool = False
) -> BandComparison:
    r"""Test whether two bands are of one family of curves.

    .. math:: T(\theta) = \frac{|\bar R_1(\theta) - \bar R_2(\theta)|}
              {\sqrt{s_1^2(\theta) / J + s_2^2(\theta) / K}}, \quad
              \tilde p(\theta) = \frac{1 + \#\{b : \max_{\theta'} T_b(\theta') \ge T(\theta)\}}
              {B + 1}

    over B random relabelings of whole curves.  Curves of one family are exchangeable
    whatever the reference, its noise included, so that the p-values are valid for any number
    of members.  Members are never paired.

    Both bands have the same reference, score and angles.  `published` adds the paired t-tests,
    which are not calibrated.

    References
    ----------
    P. H. Westfall, S. S. Young, Resampling-Based Multiple Testing (1993), section 2.3
    (single-step max-T); Y. Benjamini, Y. Hochberg, J. R. Stat. Soc. B 57 (1995) 289.
    """
    _check(first, second)
    require_at_least(1, permutations, "permutations", remedy="999 resolve p-values down to 0.001.")
    at = run.seeds.at("compare precision-recall")
    found = relabel_curves(at.at("curves"), first.radii, second.radii, permutations)
    familywise, pointwise = found.familywise(), found.pointwise()
    paired = None
    if published:
        pairs = (first.recall.precision, second.recall.precision)
        paired = paired_tests(run.seeds.at("published pairs"), *pairs)
    missed = max(float(first.missed.mean()), float(second.missed.mean()))
    warning = f"up to {missed:.2%} of a family's generated events are not finite: misses"
    return BandComparison(
        theta=first.theta,
        difference=first.radii.mean(axis=0) - second.radii.mean(axis=0),
        p_value=_p_value(float(familywise.min()), permutations),
        p_familywise=familywise,
        p_pointwise=pointwise,
        q=benjamini_hochberg(pointwise),
        auc=_area_difference(run, first.auc, second.auc, permutations),
        published=paired,
        n_first=len(first.auc),
        n_second=len(second.auc),
        warnings=() if missed == 0.0 else (warning,),
    )


def _check(first: Band, second: Band) -> None:
    require(
        first.score == second.score and np.array_equal(first.theta, second.theta),
        "bands",
        got=f"{first.theta.size} angles by {first.score}, {second.theta.size} by {second.score}",
        expected="the same score and angles in both",
        remedy="`precision_recall_bands` chooses one score for several families.",
    )


def _area_difference(run: Run, first: Array, second: Array, permutations: int) -> AreaDifference:
    at = run.seeds.at("compare areas")
    found = relabel_curves(at.at("relabel"), first[:, None], second[:, None], permutations)
    low, high = area_interval(
        at.at("bootstrap"), first, second, level=_LEVEL, resamples=permutations
    )
    return AreaDifference(
        value=float(first.mean() - second.mean()),
        low=low,
        high=high,
        p_value=_p_value(float(found.pointwise()[0]), permutations),
        level=_LEVEL,
    )


def _p_value(p: float, permutations: int) -> PValue:
    exceeding = round(p * (permutations + 1)) - 1
    return add_one(exceeding, permutations, null="relabeled curves")


@dataclass(frozen=True, slots=True, eq=False)
class Relabeled:
    """Absolute studentised differences: observed ``(L,)`` and of relabelings ``(B, L)``."""

    observed: Array
    null: Array

    def pointwise(self) -> Array:
        """Return the add-one p-value of each column alone ``(L,)``."""
        return _add_one(self.null, self.observed)

    def familywise(self) -> Array:
        """Return p-values that count relabelings whose largest value anywhere is as large."""
        return _add_one(self.null.max(axis=1, keepdims=True), self.observed)


def relabel_curves(seeds: Seeds, first: Array, second: Array, count: int) -> Relabeled:
    r"""Return differences of the means of curves ``(J, L)`` and ``(K, L)`` over relabelings.

    .. math:: T = |\bar R_1 - \bar R_2| / \sqrt{s_1^2 / J + s_2^2 / K}

    A column in which all curves agree has T = 0.
    """
    pool = np.concatenate([first, second])
    is_first = np.zeros((1, len(pool)))
    is_first[0, : len(first)] = 1.0
    rng = seeds.numpy()
    drawn = rng.permuted(np.repeat(is_first, count, axis=0), axis=1)
    values = _studentised(np.concatenate([is_first, drawn]), pool - pool.mean(axis=0))
    return Relabeled(values[0], values[1:])


def _studentised(labels: Array, centred: Array) -> Array:
    least = np.sqrt(_TINY * (centred**2).sum(axis=0))
    (first, of_first), (second, of_second) = (
        _moments(part, centred) for part in (labels, 1.0 - labels)
    )
    gap, scale = np.abs(first - second), np.sqrt(of_first + of_second)
    flat = scale <= least
    found = np.divide(gap, scale, out=np.full_like(gap, np.inf), where=~flat)
    found[flat & (gap <= least)] = 0.0
    return np.asarray(found)


def _moments(labels: Array, centred: Array) -> tuple[Array, Array]:
    """Return means and variances of means of the labelled rows."""
    size = labels[0].sum()
    mean = labels @ centred / size
    square = labels @ centred**2 / size
    return mean, np.maximum(square - mean**2, 0.0) / (size - 1.0)


def area_interval(
    seeds: Seeds, first: Array, second: Array, *, level: float, resamples: int
) -> tuple[float, float]:
    """Return the studentised bootstrap interval on the difference of two groups' mean areas."""
    rng = seeds.numpy()
    (one, of_one), (other, of_other) = (
        _resampled(rng, values, resamples) for values in (first, second)
    )
    shift, scale = one - other, np.sqrt(of_one + of_other)
    usable = scale > 0.0
    gap = float(first.mean() - second.mean())
    error = np.sqrt(first.var(ddof=1) / first.size + second.var(ddof=1) / second.size)
    if not usable.any():
        return gap, gap
    tail = 0.5 * (1.0 - level)
    low, high = np.quantile(shift[usable] / scale[usable], [tail, 1.0 - tail])
    return gap - float(high * error), gap - float(low * error)


def _resampled(rng: np.random.Generator, values: Array, resamples: int) -> tuple[Array, Array]:
    count = values.size
    rows = rng.multinomial(count, np.full(count, 1.0 / count), size=resamples).astype(np.float64)
    mean, variance = _moments(rows, (values - values.mean())[:, None])
    return mean[:, 0], variance[:, 0]


def _add_one(null: Array, observed: Array) -> Array:
    extreme = (null >= observed * _SAME).sum(axis=0)
    return np.asarray((1.0 + extreme) / (len(null) + 1.0))


@register("precision-recall-paired", 1)
@dataclass(frozen=True, slots=True, eq=False)
class PairedTests(Result):
    """Share of the recall grid where a paired t-test of precision is below a level.

    Attributes
    ----------
    fraction
        The published number.
    fraction_range
        5 % and 95 % quantile of that number over random pairings of the same curves.
    p
        P-value at each recall ``(G,)``; one where precisions agree.
    """

    fraction: float
    fraction_range: tuple[float, float]
    p: Array
    level: float
    label: str = _LABEL


def paired_tests(seeds: Seeds, first: Array, second: Array, *, level: float = 0.05) -> PairedTests:
    """Return paired t-tests of precisions ``(J, G)`` at each recall.

    For comparison with published numbers only: use the max-T test.

    References
    ----------
    G. Morales et al., "Towards uncertainty quantification in generative model learning",
    section 4.
    """
    require(
        first.shape == second.shape,
        "paired t-test",
        got=f"{len(first)} and {len(second)} curves",
        expected="as many in both groups",
        remedy="Leave it out: the max-T test needs no pairs.",
    )
    rng, p = seeds.numpy(), _paired(first, second)
    others = [
        float((_paired(first, rng.permutation(second, axis=0)) < level).mean())
        for _ in range(_PAIRINGS)
    ]
    low, high = np.quantile(others, [0.05, 0.95])
    return PairedTests(float((p < level).mean()), (float(low), float(high)), p, level)


def _paired(first: Array, second: Array) -> Array:
    gaps = first - second
    count = len(gaps)
    mean, error = gaps.mean(axis=0), gaps.std(axis=0, ddof=1) / np.sqrt(count)
    t = np.divide(np.abs(mean), error, out=np.full_like(mean, np.inf), where=error > 0.0)
    t[mean == 0.0] = 0.0
    return np.asarray(2.0 * stats.t.sf(t, count - 1))
