"""Many p-values: of several statistics or looks become one; of many tests are corrected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, require
from verisimile.core.result import Result, register
from verisimile.stats.pvalues import Empirical, PValue, add_one

_DIGITS = 9  # of standard deviations that tell tied rows apart
_TIE = 1e-9  # relative; sums of the same logarithms in another order differ by rounding


@register("combined-p-value", 1)
@dataclass(frozen=True, slots=True)
class Combined(Result):
    """One p-value for several statistics of the same data.

    Attributes
    ----------
    p_value
        The global p-value.  Its interval is that of its own count among the
        toys, with the ranks of the columns taken as given.
    columns
        The p-value of each statistic alone, not corrected for the others.
    smallest
        Index of the column with the smallest p-value.
    rule
        ``"min-p"`` or ``"fisher"``.
    """

    p_value: PValue
    columns: tuple[PValue, ...]
    smallest: int
    rule: str
    listed: ClassVar[tuple[str, ...]] = ("columns",)

    def __repr__(self) -> str:
        """Return one line: the rule, the global p-value, and the columns'."""
        each = ", ".join(f"{p.value:.4g}" for p in self.columns)
        return f"Combined({self.rule}: {self.p_value!r}, of {each})"


def min_p(observed: npt.ArrayLike, toys: Array, *, null: str = "toys") -> Combined:
    r"""Combine statistics by the smallest of their p-values, recalibrated on the same toys.

    Observation and toys are pooled, N = B + 1 in all, and treated alike:

    .. math:: p_{ij} = \frac{\#\{i' : s_{i'j} \ge s_{ij}\}}{N}, \quad
              m_i = \min_j p_{ij}, \quad
              p = \frac{\#\{i : m_i \le m_{obs}\}}{N}.

    Under the null the N rows are exchangeable whatever the correlation of the
    columns, so that :math:`P(p \le \alpha) \le \alpha` at every B.  The power
    is that of the best column, at the price of what the columns do not share.

    Each column has an extreme row of its own, so that up to J rows share the smallest
    possible :math:`m_i`.  Such ties are resolved by how far the row lies out in
    its best column, in standard deviations of the pool: data beyond all toys in one column by far
    have :math:`p = 1/N`, and not J / N.

    Parameters
    ----------
    observed, toys
        Statistics of the data ``(J,)`` and of the toys ``(B, J)``; large is extreme, and a
        toy's non-finite one as extreme as can be.
    null
        How the toys were made.

    References
    ----------
    P. H. Westfall, S. S. Young, Resampling-Based Multiple Testing (1993), sec. 2.3.

    Examples
    --------
    >>> min_p([9.0, 0.0], np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])).p_value.value
    0.25
    """
    smallest = smallest_p(observed, toys)
    return _combined(observed, toys, smallest <= smallest[0], rule="min-p", null=null)


def smallest_p(observed: npt.ArrayLike, toys: Array) -> Array:
    r"""Return :math:`m_i` of :func:`min_p`, ``(B + 1,)``: first the data's, then the toys'.

    Tied values are spread over the step below them, :math:`(m_i - 1/N, m_i]`, the
    furthest out first.
    """
    ranks = _ranks(observed, toys)
    total = ranks.shape[0]
    smallest = ranks.min(axis=1)
    out = np.where(ranks == smallest[:, None], _standardised(observed, toys), -np.inf).max(axis=1)
    resolved = smallest - _places(smallest, out)
    return np.asarray(resolved / total)


def _places(smallest: npt.NDArray[np.int64], out: Array) -> Array:
    """Return each row's place among those of its rank, in steps of one more than there are.

    Counted are those less far out: equally far out is equally extreme.
    """
    order = np.lexsort((out, smallest))
    ranks, far = smallest[order], out[order]
    group = np.append(True, ranks[1:] != ranks[:-1])
    fresh = group | np.append(True, far[1:] != far[:-1])
    starts, firsts = np.flatnonzero(group), np.flatnonzero(fresh)
    sizes = np.diff(starts, append=ranks.size)
    below = firsts[np.cumsum(fresh) - 1] - np.repeat(starts, sizes)
    places = np.empty(ranks.size)
    places[order] = below / (np.repeat(sizes, sizes) + 1)
    return places


def fisher(observed: npt.ArrayLike, toys: Array, *, null: str = "toys") -> Combined:
    r"""Combine statistics by Fisher's product of p-values, calibrated on the same toys.

    .. math:: T_i = -2 \sum_j \log p_{ij}, \quad p = \#\{i : T_i \ge T_{obs}\} / N

    with the pooled ranks of :func:`min_p`.  No :math:`\chi^2_{2J}` law is
    used, which only independent columns follow.  Better than `min_p` when
    every column sees a little of the deviation, worse when one sees it all.

    References
    ----------
    R. A. Fisher, Statistical Methods for Research Workers (1925), sec. 21.1.
    """
    ranks = _ranks(observed, toys)
    total = -2.0 * np.log(ranks / ranks.shape[0]).sum(axis=1)
    return _combined(
        observed, toys, total >= total[0] - _TIE * (1.0 + total[0]), rule="fisher", null=null
    )


def _ranks(observed: npt.ArrayLike, toys: Array) -> npt.NDArray[np.int64]:
    """Return how many of the pool are at least as large, ``(B + 1, J)``; the data come first."""
    row = np.asarray(observed, dtype=np.float64)
    require(
        row.ndim == 1 and toys.ndim == 2 and toys.shape[1] == row.size and toys.size,
        "statistics",
        got=f"shapes {row.shape} of the data and {toys.shape} of the toys",
        expected="(J,) and (B, J) with at least one toy and one column",
    )
    pool = np.vstack([row, toys])
    pool = np.where(np.isfinite(pool), pool, np.inf)
    ordered = np.sort(pool, axis=0)
    below = [np.searchsorted(ordered[:, j], pool[:, j], side="left") for j in range(pool.shape[1])]
    return np.asarray(pool.shape[0] - np.stack(below, axis=1), dtype=np.int64)


def _standardised(observed: npt.ArrayLike, toys: Array) -> Array:
    """Return how far each row lies out in each column ``(B + 1, J)``, in its pool's units."""
    pool = np.vstack([np.asarray(observed, dtype=np.float64), toys])
    known = np.isfinite(pool)
    kept = np.where(known, pool, np.nan)
    out = np.full(pool.shape, np.inf)  # without a finite statistic: as extreme as can be
    for j in np.flatnonzero(known.any(axis=0)):
        values = kept[known[:, j], j]
        spread = values.std()
        out[known[:, j], j] = (values - values.mean()) / spread if spread > 0.0 else 0.0
    # Sums in another order differ by rounding, and that must be no evidence.
    return np.asarray(np.round(out, _DIGITS))


def _combined(
    observed: npt.ArrayLike, toys: Array, extreme: npt.NDArray[np.bool_], *, rule: str, null: str
) -> Combined:
    """Return the result, from which rows of the pool are at least as extreme as the data."""
    row = np.asarray(observed, dtype=np.float64)
    columns = tuple(Empirical(toys[:, j], null).p_value(float(row[j])) for j in range(row.size))
    return Combined(
        p_value=add_one(
            int(extreme[1:].sum()),
            toys.shape[0],
            null=null,
            n_failed=int((~np.isfinite(toys)).any(axis=1).sum()),
        ),
        columns=columns,
        smallest=int(np.argmin([p.value for p in columns])),
        rule=rule,
    )


def correct_looks(p_values: Sequence[PValue]) -> PValue:
    r"""Return the p-value of l looks at fresh data, of which the best counted.

    .. math:: c_l = \big(\max_{i \le l} p_i\big)^l

    The largest of l independent p-values of true models has the distribution
    :math:`x^l`, so that :math:`P(c_l \le a) \le a` at a fixed l, with equality
    for continuous p-values.  It holds for a random l too, if the search ends
    at the first look with :math:`c_l > \alpha`, or after L looks: a search
    goes on after look l just if :math:`p_i \le \alpha^{1/i}` for all
    :math:`i \le l`, and with :math:`H_l = 1 + \tfrac12 + \dots + \tfrac1l`

    .. math:: P(c \le a) = a - \sum_{l=2}^{L} \alpha^{H_{l-1}} (1 - a^{1/l})
              \le a \quad (a \ge \alpha), \qquad
              P(c \le a) = a^{1/L} \prod_{l=1}^{L-1} \min(\alpha^{1/l}, a^{1/L})
              \le a \quad (a < \alpha).

    So no look of L passes with probability :math:`\alpha^{H_L}` if all the
    models are true, and with :math:`\prod_l F_l(\alpha^{1/l})` if their
    p-values have distributions :math:`F_l`: a wrong model gets no second
    chance at the old price.

    The guarantee needs looks that are independent: fresh events, fresh toys,
    and weights that are not fitted to the same data.  It is about all models
    together.  If the first ones were wrong, a true model at look l still has
    to exceed :math:`\alpha^{1/l}`; its own p-value is that of its own look.

    Its interval is that of the largest p-value, mapped, and its toys are those of that look.

    Examples
    --------
    >>> look = PValue(0.3, 0.28, 0.32, "toys", 500, 0)
    >>> round(correct_looks([look, look]).value, 3)
    0.09
    """
    require(p_values, "p-values", got="none", expected="one for each look")
    count = len(p_values)
    best = max(p_values, key=lambda p: p.value)
    return replace(
        best,
        value=best.value**count,
        low=best.low**count,
        high=best.high**count,
        null=f"{best.null}, {count} looks" if count > 1 else best.null,
    )


def holm(p: npt.ArrayLike) -> Array:
    r"""Return adjusted p-values, of the shape given, that bound the chance of any false alarm.

    .. math:: \tilde p_{(i)} = \max_{j \le i} \min\{(J - j + 1)\, p_{(j)}, 1\}

    Rejecting :math:`\tilde p \le \alpha` falsely rejects one true null or more with
    probability at most :math:`\alpha`, whatever the dependence of the tests.  NaN stays
    NaN and counts as a test that was made.

    References
    ----------
    S. Holm, Scand. J. Stat. 6 (1979) 65.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    values, order = _sorted(p)
    factors = values.size - np.arange(values.size)
    steps = np.minimum(factors * values.ravel()[order], 1.0)
    return _placed(np.maximum.accumulate(steps[~np.isnan(steps)]), order, values)


def benjamini_hochberg(p: npt.ArrayLike) -> Array:
    r"""Return adjusted p-values that bound the expected share of false alarms among all.

    .. math:: \tilde p_{(i)} = \min_{j \ge i} \min\{J\, p_{(j)} / j, 1\}

    For independent or positively dependent tests.  NaN stays NaN and counts as a test.

    References
    ----------
    Y. Benjamini, Y. Hochberg, J. R. Stat. Soc. B 57 (1995) 289.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03])
    array([0.03, 0.04, 0.04])
    """
    values, order = _sorted(p)
    steps = np.minimum(values.size * values.ravel()[order] / (1.0 + np.arange(values.size)), 1.0)
    known = steps[~np.isnan(steps)]
    return _placed(np.minimum.accumulate(known[::-1])[::-1], order, values)


def _sorted(p: npt.ArrayLike) -> tuple[Array, npt.NDArray[np.intp]]:
    """Return the values and the order of the flattened ones; NaN comes last."""
    values = np.asarray(p, dtype=np.float64)
    wrong = values[(values < 0.0) | (values > 1.0)]
    if wrong.size:
        raise InputError("p-values", got=float(wrong[0]), expected="numbers in [0, 1], or NaN")
    return values, np.argsort(values, axis=None, kind="stable")


def _placed(adjusted: Array, order: npt.NDArray[np.intp], values: Array) -> Array:
    out = np.full(values.size, np.nan)
    out[order[: adjusted.size]] = adjusted
    return out.reshape(values.shape)
