"""Errors of bin contents and densities from the spread of members; how often they hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from verisimile.core.arrays import Array, as_matrix, as_vector, require_fraction
from verisimile.core.errors import require
from verisimile.core.result import Estimate, Result, register


@dataclass(frozen=True, slots=True, eq=False)
class BinIntervals:
    """Contents (or log-densities) and errors ``(K,)``, and L intervals ``(L, K)`` on them."""

    values: Array
    errors: Array
    low: Array
    high: Array


@register("bin-errors", 1)
@dataclass(frozen=True, slots=True)
class BinErrors(Result):
    """What the claimed errors of bin contents are worth, averaged over bins and repetitions.

    All errors are those over repetitions (jackknife): the bins of one
    repetition move together.  They are NaN for one repetition.

    Attributes
    ----------
    rates
        Fraction of intervals that hold the true content, one per level.
    claimed, actual
        Root mean square of the standard errors, and of the distances from the truth, both
        in units of the reference.
    scale
        Actual over claimed: the factor that the errors would need.
    bias_share
        Part of the mean square distance that all repetitions have in common; unbiased,
        so that it may come out slightly negative.
    """

    rates: tuple[Estimate, ...]
    claimed: Estimate
    actual: Estimate
    scale: Estimate
    bias_share: Estimate


def spread_intervals(contents: npt.ArrayLike, levels: Sequence[float]) -> BinIntervals:
    r"""Return intervals on bin contents from the contents of M members.

    .. math:: \bar p \pm t_{M-1}\, s \sqrt{1 + 1/M}

    with the members' mean and standard deviation s, and the quantile t of Student's
    law: what holds one *further* member with the stated probability, for
    every M if the members are normal.  It holds the truth as often if the truth lies among the
    members like one of them (draws of a posterior), or as far from what the
    members scatter around (bootstrap replicas).

    Parameters
    ----------
    contents
        ``(M, K)``, of two members or more.
    levels
        Probability contents ``(L,)``.
    """
    p = as_matrix(contents, "contents")
    members = p.shape[0]
    require(members > 1, "contents", got="one member", expected="two or more, for a spread")
    reach = stats.t.isf(_tails(levels), members - 1)
    errors = p.std(axis=0, ddof=1) * math.sqrt(1.0 + 1.0 / members)
    return _around(p.mean(axis=0), errors, reach)


def density_intervals(log_densities: npt.ArrayLike, levels: Sequence[float]) -> BinIntervals:
    r"""Return intervals on the log-density of each event, from those of M members or draws.

    .. math:: \overline{\log p}(x) \pm t_{M-1}\, s(x) \sqrt{1 + 1/M}

    What :func:`spread_intervals` says of bin contents, event by event: of an ensemble
    (``ensemble.log_densities(x).T``), or of the draws of a Bayesian flow (``model.log_probs(x)``).
    The intervals of one model's events move together: n events are not n tests.

    Parameters
    ----------
    log_densities
        ``(M, n)``, finite, of two members or more.
    levels
        Probability contents ``(L,)``.

    References
    ----------
    M. Bellagente et al., SciPost Phys. 13 (2022) 003 (the spread of a Bayesian flow's density).
    """
    logs = np.asarray(log_densities, dtype=np.float64)
    bad = int((~np.isfinite(logs)).sum())
    require(
        not bad,
        "log_densities",
        got=f"{bad} of {logs.size} that are not finite",
        expected="finite log-densities",
        remedy="Leave out events to which a member gives no density: its error there is unknown.",
    )
    return spread_intervals(logs, levels)


def normal_intervals(
    values: npt.ArrayLike, errors: npt.ArrayLike, levels: Sequence[float]
) -> BinIntervals:
    r"""Return :math:`p \pm z \sigma` for contents and standard errors ``(K,)``."""
    p = as_vector(values, "values")
    sigma = as_vector(errors, "errors", length=p.size)
    require((sigma >= 0.0).all(), "errors", got="negative ones", expected="standard errors")
    return _around(p, sigma, stats.norm.isf(_tails(levels)))


def summarise_bins(
    repetitions: Sequence[BinIntervals], truth: npt.ArrayLike, reference: npt.ArrayLike
) -> BinErrors:
    """Return how often and how well the intervals of R repetitions hold the true contents.

    Parameters
    ----------
    repetitions
        Intervals from R independent training samples, of the same K bins and L levels.
    truth
        True contents ``(K,)``.
    reference
        Positive errors to compare with ``(K,)``, for instance binomial ones.

    References
    ----------
    S. Bieringer et al., arXiv:2408.00838, use the rate of such intervals over bins and
    trainings, with M = 50 draws and the plain standard deviation or quantiles.
    """
    true = as_vector(truth, "truth")
    unit = as_vector(reference, "reference", length=true.size)
    shapes = {each.low.shape for each in repetitions}
    require(
        len(shapes) == 1 and next(iter(shapes))[1] == true.size,
        "repetitions",
        got=f"{len(repetitions)} with intervals of shapes {sorted(shapes)}",
        expected=f"one or more, of the same levels and {true.size} bins",
    )
    require((unit > 0.0).all(), "reference", got=reference, expected="positive errors")
    distance = np.stack([(each.values - true) / unit for each in repetitions])
    claimed = np.stack([each.errors / unit for each in repetitions])
    inside = np.stack([(each.low <= true) & (true <= each.high) for each in repetitions])
    rates = inside.mean(axis=2)
    return BinErrors(
        rates=tuple(_jackknife(_mean, column) for column in rates.T),
        claimed=_jackknife(_rms, claimed),
        actual=_jackknife(_rms, distance),
        scale=_jackknife(_scale, distance, claimed),
        bias_share=_jackknife(_bias_share, distance),
    )


def _around(values: Array, errors: Array, reach: Array) -> BinIntervals:
    half = np.outer(reach, errors)
    return BinIntervals(values, errors, values - half, values + half)


def _tails(levels: Sequence[float]) -> Array:
    level = as_vector(levels, "levels")
    require_fraction(levels, "levels")
    return np.asarray(0.5 * (1.0 - level))


def _jackknife(statistic: Callable[..., float], *arrays: Array) -> Estimate:
    """Return a statistic of arrays ``(R, ...)`` and its error over the first axis."""
    count = arrays[0].shape[0]
    value = statistic(*arrays)
    if count < 2:
        return Estimate(value, math.nan)
    without = [statistic(*(np.delete(a, r, axis=0) for a in arrays)) for r in range(count)]
    return Estimate(value, math.sqrt(count - 1) * float(np.std(without)))


def _mean(values: Array) -> float:
    return float(values.mean())


def _rms(values: Array) -> float:
    return math.sqrt(float((values**2).mean()))


def _scale(distance: Array, claimed: Array) -> float:
    claim = _rms(claimed)
    return _rms(distance) / claim if claim > 0.0 else math.inf


def _bias_share(distance: Array) -> float:
    """Return the square of the common part over the mean square, its own noise taken off."""
    count = distance.shape[0]
    total = float((distance**2).mean())
    if count < 2 or total == 0.0:
        return math.nan
    common = distance.mean(axis=0) ** 2 - distance.var(axis=0, ddof=1) / count
    return float(common.mean()) / total
