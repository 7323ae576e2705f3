"""Are two families of generators different: along the curve, and in its area."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from verisimile.checks.precision_recall.band import Band, precision_recall_bands
from verisimile.checks.precision_recall.best import BestScore
from verisimile.checks.precision_recall.paired import PairedTests, paired_tests
from verisimile.checks.precision_recall.relabeling import area_interval, relabeled
from verisimile.checks.precision_recall.scores import Score
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.result import register
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.stats.multiple import benjamini_hochberg
from verisimile.stats.pvalues import PValue, add_one

__all__ = ["AreaDifference", "BandComparison", "compare_bands", "compare_curves"]

_LEVEL = 0.95
_ALPHA = 0.05


@register("precision-recall-area-difference", 1)
@dataclass(frozen=True, slots=True)
class AreaDifference:
    """Mean area of the first group minus that of the second.

    Attributes
    ----------
    value
        The difference.
    low, high
        Studentised bootstrap interval over members, of content `level`.
    p_value
        Two-sided, by relabeling members.
    level
        0.95.
    """

    value: float
    low: float
    high: float
    p_value: PValue
    level: float


@register("precision-recall-comparison", 1)
@dataclass(frozen=True, slots=True, eq=False)
class BandComparison:
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
    n_first, n_second
        Curves.
    warnings
        What a reader must know.
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

    @property
    def fraction_familywise(self) -> float:
        """Share of angles significant at 5 % with the family-wise error held."""
        return float((self.p_familywise <= _ALPHA).mean())

    @property
    def fraction_discovered(self) -> float:
        """Share of angles significant with the false-discovery rate held at 5 %."""
        return float((self.q <= _ALPHA).mean())

    def __repr__(self) -> str:
        """Return one line: p of the curve, significant share, difference of areas."""
        return (
            f"BandComparison({self.n_first} against {self.n_second} curves: "
            f"p={self.p_value.value:.4g}, {self.fraction_familywise:.0%} of angles significant; "
            f"auc difference {self.auc.value:+.4f} [{self.auc.low:+.4f}, {self.auc.high:+.4f}], "
            f"p={self.auc.p_value.value:.4g})"
        )


def compare_bands(
    run: Run,
    first: Sequence[Events | npt.ArrayLike],
    second: Sequence[Events | npt.ArrayLike],
    reference: Events,
    *,
    score: Score | BestScore = BestScore(),  # noqa: B008  (frozen)
    relabelings: int = 999,
    published: bool = False,
) -> BandComparison:
    """Return :func:`compare_curves` of the curves of two groups of generated samples.

    Parameters
    ----------
    run
        Random streams.
    first, second
        Samples of independently trained generators of each family; at least three.
    reference
        True events that no generator has seen.
    score
        What orders the events.
    relabelings, published
        As of :func:`compare_curves`.

    Raises
    ------
    InputError
        For unusable samples or counts.
    """
    one, other = precision_recall_bands(run, reference, [first, second], score=score, null_draws=0)
    return compare_curves(run, one, other, relabelings=relabelings, published=published)


def compare_curves(
    run: Run, first: Band, second: Band, *, relabelings: int = 999, published: bool = False
) -> BandComparison:
    r"""Test whether two bands are of one family of curves.

    .. math:: T(\theta) = \frac{|\bar R_1(\theta) - \bar R_2(\theta)|}
              {\sqrt{s_1^2(\theta) / J + s_2^2(\theta) / K}}, \quad
              \tilde p(\theta) = \frac{1 + \#\{b : \max_{\theta'} T_b(\theta') \ge T(\theta)\}}
              {B + 1}

    over B random relabelings of whole curves.  Curves of one family are exchangeable
    whatever the reference, its noise included, so that the p-values are valid for any number
    of members.  Members are never paired.

    Parameters
    ----------
    run
        Random streams.
    first, second
        Bands with the same reference, score and angles.
    relabelings
        B.
    published
        Whether to add the published paired t-tests, which are not calibrated.

    Raises
    ------
    InputError
        If scores or angles differ, or `relabelings` is not positive.

    References
    ----------
    P. H. Westfall, S. S. Young, Resampling-Based Multiple Testing (1993), section 2.3
    (single-step max-T); Y. Benjamini, Y. Hochberg, J. R. Stat. Soc. B 57 (1995) 289.
    """
    _check(first, second, relabelings)
    at = run.seeds.at("compare precision-recall")
    found = relabeled(at.at("curves"), first.radii, second.radii, relabelings)
    familywise, pointwise = found.familywise(), found.pointwise()
    return BandComparison(
        theta=first.theta,
        difference=first.radii.mean(axis=0) - second.radii.mean(axis=0),
        p_value=_p_value(float(familywise.min()), relabelings),
        p_familywise=familywise,
        p_pointwise=pointwise,
        q=benjamini_hochberg(pointwise),
        auc=_areas(run, first.auc, second.auc, relabelings),
        published=_published(run, first, second) if published else None,
        n_first=len(first.auc),
        n_second=len(second.auc),
        warnings=_warnings(first, second),
    )


def _areas(run: Run, first: Array, second: Array, relabelings: int) -> AreaDifference:
    at = run.seeds.at("compare areas")
    found = relabeled(at.at("relabel"), first[:, None], second[:, None], relabelings)
    low, high = area_interval(
        at.at("bootstrap"), first, second, level=_LEVEL, resamples=relabelings
    )
    return AreaDifference(
        value=float(first.mean() - second.mean()),
        low=low,
        high=high,
        p_value=_p_value(float(found.pointwise()[0]), relabelings),
        level=_LEVEL,
    )


def _p_value(p: float, relabelings: int) -> PValue:
    exceeding = round(p * (relabelings + 1)) - 1
    return add_one(exceeding, relabelings, null="relabeled curves")


def _published(run: Run, first: Band, second: Band) -> PairedTests:
    at = run.seeds.at("published pairs")
    return paired_tests(at, first.recall.precision, second.recall.precision)


def _warnings(first: Band, second: Band) -> tuple[str, ...]:
    missed = max(float(first.missed.mean()), float(second.missed.mean()))
    if missed == 0.0:
        return ()
    return (f"up to {missed:.2%} of a family's generated events are not finite: misses",)


def _check(first: Band, second: Band, relabelings: int) -> None:
    if first.score != second.score or not np.array_equal(first.theta, second.theta):
        raise InputError(
            "bands",
            got=f"{first.theta.size} angles by {first.score}, "
            f"{second.theta.size} by {second.score}",
            expected="the same score and angles in both",
            remedy="`precision_recall_bands` chooses one score for several families.",
        )
    if relabelings < 1:
        raise InputError(
            "relabelings",
            got=relabelings,
            expected="at least one",
            remedy="999 resolve p-values down to 0.001.",
        )
