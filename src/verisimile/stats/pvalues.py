"""P-values from toys, with the Monte-Carlo interval that they deserve."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats

from verisimile.core.require import require
from verisimile.core.result import register
from verisimile.stats.intervals import ONE_SIGMA, clopper_pearson


@register("p-value", 1)
@dataclass(frozen=True, slots=True)
class PValue:
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

    @property
    def significance(self) -> Significance:
        """The one-sided Gaussian significance of the value and of its interval."""
        return Significance.of(self.value, self.low, self.high)


@register("significance", 1)
@dataclass(frozen=True, slots=True)
class Significance:
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
