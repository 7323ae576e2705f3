"""P-values from toys, with the Monte-Carlo interval that they deserve."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats

from verisimile.core.errors import InputError
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

    @classmethod
    def exact(cls, value: float, null: str = "law of the statistic") -> PValue:
        """Return a p-value from a known law, that no toy was thrown for."""
        return cls(value, value, value, null, 0, 0)

    @property
    def significance(self) -> Significance:
        """The one-sided Gaussian significance of the value and of its interval."""
        return Significance(
            value=float(stats.norm.isf(self.value)),
            low=float(stats.norm.isf(self.high)),
            high=float(stats.norm.isf(self.low)),
        )


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
    exceedances
        k, the toys at least as extreme as the observation, failed toys included.
    n_null
        B, the number of toys.
    null
        Name of the null distribution.
    n_failed
        Toys without a finite statistic (already in `exceedances`).
    level
        Probability content of the Clopper–Pearson interval on k / B.

    References
    ----------
    B. Phipson, G. K. Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010) 39, eq. 2.
    """
    if n_null < 1:
        raise InputError(
            "toys",
            got=n_null,
            expected="at least one toy",
            remedy="A p-value needs a null distribution; ask for 200 toys or more.",
        )
    low, high = clopper_pearson(exceedances, n_null, level=level)
    return PValue(
        value=(exceedances + 1) / (n_null + 1),
        low=low,
        high=high,
        null=null,
        n_null=n_null,
        n_failed=n_failed,
    )
