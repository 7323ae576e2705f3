"""P-values from toys, of a fixed number or of as many as it takes, with their interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from verisimile.core.arrays import Array, BoolArray
from verisimile.core.errors import require
from verisimile.core.result import Result, register
from verisimile.stats.intervals import ONE_SIGMA, Interval, clopper_pearson


@register("p-value", 1)
@dataclass(frozen=True, slots=True)
class PValue(Result):
    """A p-value and the Clopper–Pearson interval of its Monte-Carlo estimate.

    Attributes
    ----------
    value
        The p-value, valid at any number of toys; never zero when it comes from toys.
    low, high
        Interval (68.27 % unless said otherwise) on the p-value of infinitely many toys.
    null
        How the null distribution was made.
    n_null
        Number of toys, the failed ones included.
    n_failed
        Toys without a finite statistic; each counts as an exceedance.

    Examples
    --------
    >>> import verisimile as vs
    >>> p = vs.PValue(0.001, 0.0, 0.0018, "toys", n_null=999, n_failed=0)
    >>> p.significance
    Z = 3.09 [2.91, inf]
    """

    value: float
    low: float
    high: float
    null: str
    n_null: int
    n_failed: int

    def __repr__(self) -> str:
        """Return one line: value, interval, number of toys."""
        return (
            f"PValue({self.value:.4g} [{self.low:.4g}, {self.high:.4g}], "
            f"{self.null}, {self.n_null} toys, {self.n_failed} failed)"
        )

    @classmethod
    def exact(cls, value: float, null: str = "law of the statistic") -> PValue:
        """Return a p-value from a known law, that no toy was thrown for."""
        return cls(value, value, value, null, 0, 0)

    @property
    def significance(self) -> Significance:
        """The one-sided Gaussian significance of the value and of its interval."""
        return Significance.of(self.value, self.low, self.high)


@register("significance", 1)
@dataclass(frozen=True, slots=True)
class Significance(Result):
    r"""One-sided Gaussian significance :math:`Z = \Phi^{-1}(1 - p)`, with its interval.

    `high` is infinite when no toy exceeded the observation: the toys then
    bound Z from below only.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, p: float, low: float, high: float) -> Significance:
        """Return the significance of a p-value with its interval."""
        return cls(*(float(stats.norm.isf(each)) for each in (p, high, low)))

    def __repr__(self) -> str:
        """Return one line: value and interval."""
        return f"Z = {self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def add_one(
    exceedances: int, n_null: int, *, null: str, n_failed: int = 0, level: float = ONE_SIGMA
) -> PValue:
    r"""Return the toy p-value :math:`p = (k + 1) / (B + 1)`.

    The observation is one more draw from the null, so that
    :math:`P(p \le \alpha) \le \alpha` holds for every `n_null`; :math:`k / B`
    would be zero in a fraction :math:`1 / (B + 1)` of true nulls.

    Parameters
    ----------
    exceedances, n_null
        k, the toys at least as extreme as the observation, failed ones included, of B.
    null, n_failed
        As in :class:`PValue`.
    level
        Probability content of the Clopper–Pearson interval on k / B.

    References
    ----------
    B. Phipson, G. K. Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010) 39, eq. 2.
    """
    require(
        n_null >= 1,
        "toys",
        got=n_null,
        expected="at least one toy",
        remedy="A p-value needs a null distribution; ask for 200 toys or more.",
    )
    low, high = clopper_pearson(exceedances, n_null, level=level)
    return PValue((exceedances + 1) / (n_null + 1), low, high, null, n_null, n_failed)


def matches(observed: npt.ArrayLike, toys: Array) -> BoolArray:
    """Return which toys ``(B,)`` or ``(B, J)`` are at least as extreme as the observation.

    A toy that failed, NaN or infinite, is as extreme as can be.  So is an
    observation without a finite statistic: only failed toys match it.
    """
    # NaN compares false with everything, and must not look like a good fit.
    row = np.asarray(observed, dtype=np.float64)
    return np.asarray(~np.isfinite(toys) | (np.isfinite(row) & (toys >= row)))


@dataclass(frozen=True, slots=True, eq=False)
class Empirical:
    """The null distribution as the statistics of toys ``(B,)``, and how these were made."""

    toys: Array
    name: str

    def p_value(self, observed: float) -> PValue:
        r"""Return :math:`(k + 1)/(B + 1)`, k toys at least as extreme: see :func:`matches`."""
        return add_one(
            int(matches(observed, self.toys).sum()),
            self.toys.size,
            null=self.name,
            n_failed=int((~np.isfinite(self.toys)).sum()),
        )


def besag_clifford(
    observed: float,
    toys: Array,
    *,
    stop_after: int,
    maximum: int,
    null: str = "toys",
    level: float = ONE_SIGMA,
) -> PValue:
    r"""Return the p-value of toys that are thrown until `stop_after` of them are extreme.

    With the h-th exceedance at toy :math:`l \le B`, or k < h exceedances in all B toys,

    .. math:: p = h / l \quad\text{or}\quad p = (k + 1) / (B + 1).

    If the observation is one more draw from the null, fewer than h of the
    first l toys exceed it with probability :math:`h / (l + 1)`; so that
    :math:`P(p \le \alpha) = \alpha` on every value that p can take, and
    :math:`P(p \le \alpha) \le \alpha` in between and with ties.  A large p-value
    costs about h / p toys, a small one all B.

    The interval is exact too.  Outcomes are ordered by the exceedance rate q
    that they speak for, early stops first; both tails are then binomial:

    .. math:: P(l' \le l) = P(\mathrm{Bin}(l, q) \ge h), \quad
              P(l' \ge l) = P(\mathrm{Bin}(l - 1, q) \le h - 1),

    and those of Clopper and Pearson where all B toys were needed.

    Parameters
    ----------
    observed, toys
        Statistic of the data, and of toys ``(b,)`` in the order in which they were numbered.
        Those after the stop are not looked at nor counted, so that blocks of any size give
        the same p-value.
    stop_after
        h, the exceedances that end the search; failed toys are exceedances.
    maximum
        B, the toys after which the search ends anyway.
    null, level
        How the toys were made, and the probability content of the interval.

    Raises
    ------
    InputError
        If the toys end before the search.

    References
    ----------
    J. Besag, P. Clifford, Biometrika 78 (1991) 301.

    Examples
    --------
    >>> besag_clifford(2.0, np.array([1.0, 3.0, 0.5, 2.5, 9.0]), stop_after=2, maximum=99)
    PValue(0.5 [0.1853, 0.7479], toys, 4 toys, 0 failed)
    """
    _check_counts(stop_after, maximum)
    within = np.asarray(toys, dtype=np.float64)[:maximum]
    found = np.cumsum(matches(observed, within))
    count = int(found[-1]) if found.size else 0
    stopped = count >= stop_after
    require(
        stopped or within.size == maximum,
        "toys",
        got=f"{within.size} toys with {count} exceedances",
        expected=f"{stop_after} exceedances or {maximum} toys",
        remedy="Throw more toys.",
    )
    used = int(np.searchsorted(found, stop_after)) + 1 if stopped else maximum
    failed = int((~np.isfinite(within[:used])).sum())
    if not stopped:
        return add_one(count, maximum, null=null, n_failed=failed, level=level)
    low, high = inverse_binomial(stop_after, used, level=level)
    return PValue(stop_after / used, low, high, null, n_null=used, n_failed=failed)


def enough(observed: npt.ArrayLike, toys: Array, *, stop_after: int) -> bool:
    """Return whether every column of a table of toys has its `stop_after` exceedances.

    As :func:`matches`, of the toys so far.
    """
    _check_counts(stop_after, 1)
    return bool((matches(observed, toys).sum(axis=0) >= stop_after).all())


def inverse_binomial(successes: int, trials: int, *, level: float = ONE_SIGMA) -> Interval:
    r"""Return the exact central interval on a rate, from the trial of its h-th success.

    .. math:: P(\mathrm{Bin}(l, q_{low}) \ge h) = P(\mathrm{Bin}(l - 1, q_{high}) \le h - 1)
              = (1 - \mathrm{level}) / 2

    The lower end is that of Clopper and Pearson; the upper one is lower than
    theirs, because the last trial is known to be a success.

    References
    ----------
    J. B. S. Haldane, Biometrika 33 (1945) 222 (inverse sampling).
    """
    _check_counts(successes, 1)
    low, _ = clopper_pearson(successes, trials, level=level)
    if successes == trials:
        return low, 1.0
    inside = 0.5 * (1.0 + level)
    return low, float(special.betaincinv(successes, trials - successes, inside))


def _check_counts(stop_after: int, maximum: int) -> None:
    require(
        min(stop_after, maximum) >= 1,
        "sequential p-value",
        got=f"stop_after = {stop_after}, maximum = {maximum}",
        expected="both at least one",
        remedy="stop_after = 10 and maximum = 1000 settle large p-values in tens of toys.",
    )
