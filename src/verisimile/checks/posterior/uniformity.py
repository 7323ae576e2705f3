"""Whether ranks among S draws are uniform: discrete ranks, exact tests, simultaneous bands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from scipy import stats

from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import require, require_one_of
from verisimile.core.result import Result, register
from verisimile.stats.pvalues import Empirical, PValue

StatisticName = Literal["kolmogorov", "anderson-darling", "chi-square", "ecdf"]

_NAMES = ("kolmogorov", "anderson-darling", "chi-square", "ecdf")
_BLOCK = 1_000_000  # uniform numbers at a time
_PER_BIN = 5
_MOST_BINS = 20
_NULL = "uniform numbers"


@dataclass(frozen=True, slots=True)
class UniformTest:
    """How ranks are tested.

    Parameters
    ----------
    statistic
        Which p-value decides: ``kolmogorov`` (exact law), ``anderson-darling``,
        ``chi-square`` or ``ecdf`` (the last three from toys).  The others are shown.
    toys
        Samples of uniform numbers that calibrate them.
    bins
        Of the histogram; None: up to 20, five ranks or more in each.
    grid
        Levels at which the curve and its band are given.
    level
        Chance that the band misses a curve of uniform ranks anywhere.
    """

    statistic: StatisticName = "anderson-darling"
    toys: int = 999
    bins: int | None = None
    grid: int = 100
    level: float = 0.05

    def __post_init__(self) -> None:
        require_one_of(self.statistic, _NAMES, "statistic")
        require(
            self.grid >= 1 and (self.bins is None or self.bins >= 2),
            "UniformTest",
            got=f"grid={self.grid}, bins={self.bins}",
            expected="one level and two bins or more",
        )
        require(
            0.0 < self.level < 1.0 and self.toys * self.level >= 1.0 - self.level,
            "UniformTest",
            got=f"level={self.level}, toys={self.toys}",
            expected="a level in (0, 1) and 1 / level - 1 toys or more",
        )

    @property
    def levels(self) -> Array:
        """Levels of the curve and its band ``(grid,)``."""
        return np.arange(1, self.grid + 1) / (self.grid + 1)

    def bins_of(self, n: int) -> int:
        """Return the number of bins of n ranks."""
        return self.bins or int(np.clip(n // _PER_BIN, 2, _MOST_BINS))


@register("rank-uniformity", 1)
@dataclass(frozen=True, slots=True)
class Uniformity(Result):
    r"""Ranks of one quantity against the uniform law.

    Attributes
    ----------
    statistic
        Which of the tests decides.
    kolmogorov, anderson_darling, chi_square, ecdf
        P-value of each test, not corrected for the others.
    counts
        Histogram of the jittered ranks, bins of equal probability ``(K,)``.
    levels
        :math:`\alpha` ``(G,)``.
    curve
        Share of ranks up to each level ``(G,)``.
    low, high
        Band that holds the whole curve of uniform ranks with probability 1 - `band_level`.
    """

    name: str
    statistic: str
    kolmogorov: PValue
    anderson_darling: PValue
    chi_square: PValue
    ecdf: PValue
    counts: Array
    levels: Array
    curve: Array
    low: Array
    high: Array
    band_level: float
    n: int
    n_draws: int
    listed: ClassVar[tuple[str, ...]] = ("levels", "curve", "low", "high")

    @property
    def p_value(self) -> PValue:
        """The p-value of the test that decides."""
        words = (self.kolmogorov, self.anderson_darling, self.chi_square, self.ecdf)
        return words[_NAMES.index(self.statistic)]

    @property
    def inside(self) -> bool:
        """Whether the whole curve lies in the band: the same as ``ecdf.value > band_level``."""
        # Shares are counts / n, and a rounding error must not move one across the band.
        slack = 0.5 / self.n
        return bool(((self.curve > self.low - slack) & (self.curve < self.high + slack)).all())

    def __repr__(self) -> str:
        return (
            f"Uniformity({self.name}: {self.statistic} p={self.p_value.value:.4g}, "
            f"n={self.n}, S={self.n_draws})"
        )


def jitter(ranks: IntArray, n_draws: int, rng: np.random.Generator) -> Array:
    r"""Return :math:`(k + v) / (S + 1)`, v uniform: exactly uniform if k is on 0 … S.

    The S + 1 possible ranks are no continuous law; tests for one reject exact posteriors
    as soon as n is large enough to see the steps.
    """
    return np.asarray((ranks + rng.random(ranks.shape)) / (n_draws + 1))


def kolmogorov(u: Array) -> Array:
    r"""Return :math:`D = \sup_u |F_n(u) - u|` of each row of sorted numbers ``(B, n)``."""
    n = u.shape[-1]
    above = (np.arange(1, n + 1) / n - u).max(axis=-1)
    return np.asarray(np.maximum(above, (u - np.arange(n) / n).max(axis=-1)))


def anderson_darling(u: Array) -> Array:
    r"""Return :math:`A^2` of each row of sorted numbers ``(B, n)``.

    .. math:: A^2 = -n - \frac1n \sum_i (2i - 1)
              \big[\log u_{(i)} + \log(1 - u_{(n + 1 - i)})\big]

    Infinite if a number is exactly 0 or 1.
    """
    n = u.shape[-1]
    with np.errstate(divide="ignore"):
        terms = np.log(u) + np.log1p(-u[..., ::-1])
    return np.asarray(-n - terms @ (2.0 * np.arange(n) + 1.0) / n)


@dataclass(frozen=True, slots=True, eq=False)
class UniformNull:
    """Statistics of samples of n uniform numbers: one null for all quantities.

    Attributes
    ----------
    n
        Size of a sample.
    test
        Its settings.
    toys
        Anderson–Darling, chi-square and band statistic of the toys ``(B, 3)``.
    """

    n: int
    test: UniformTest
    toys: Array

    @classmethod
    def simulate(cls, n: int, test: UniformTest, rng: np.random.Generator) -> UniformNull:
        """Return the null distribution from ``test.toys`` samples of size `n`."""
        size = max(1, _BLOCK // n)
        parts = [
            _statistics(np.sort(rng.random((min(size, test.toys - start), n)), axis=1), test)
            for start in range(0, test.toys, size)
        ]
        return cls(n, test, np.concatenate(parts))

    def compare(self, u: Array, name: str, *, n_draws: int) -> Uniformity:
        """Return the tests of jittered ranks ``(n,)``."""
        ordered = np.sort(u)[None, :]
        observed = _statistics(ordered, self.test)[0]
        found = [
            Empirical(toys, _NULL).p_value(float(value))
            for toys, value in zip(self.toys.T, observed, strict=True)
        ]
        levels = self.test.levels
        low, high = self._band(levels)
        exact = float(stats.kstwo.sf(float(kolmogorov(ordered)[0]), self.n))
        return Uniformity(
            name=name,
            statistic=self.test.statistic,
            kolmogorov=PValue.exact(exact),
            anderson_darling=found[0],
            chi_square=found[1],
            ecdf=found[2],
            counts=_histogram(ordered, self.test.bins_of(self.n))[0],
            levels=levels,
            curve=_counts(ordered, levels)[0] / self.n,
            low=low,
            high=high,
            band_level=self.test.level,
            n=self.n,
            n_draws=n_draws,
        )

    def _band(self, levels: Array) -> tuple[Array, Array]:
        # A curve leaves this band exactly when its add-one p-value is at most the level.
        place = int(np.floor(self.test.level * (self.test.toys + 1) + 1e-9))
        tail = -np.sort(self.toys[:, 2])[::-1][place - 1] / 2
        low = stats.binom.ppf(tail, self.n, levels) / self.n
        return low, 1.0 - stats.binom.ppf(tail, self.n, 1.0 - levels) / self.n


def _statistics(u: Array, test: UniformTest) -> Array:
    """Return Anderson–Darling, chi-square and band statistic of sorted rows, large is extreme."""
    bins, levels, n = test.bins_of(u.shape[1]), test.levels, u.shape[1]
    counts = _histogram(u, bins)
    chi_square = ((counts - n / bins) ** 2).sum(axis=1) * bins / n
    up_to = _counts(u, levels)
    tail = np.minimum(
        stats.binom.cdf(up_to, n, levels), stats.binom.cdf(n - up_to, n, 1.0 - levels)
    )
    return np.column_stack([anderson_darling(u), chi_square, -2.0 * tail.min(axis=1)])


def _counts(u: Array, levels: Array) -> Array:
    """Return how many numbers of each sorted row lie up to each level ``(B, G)``."""
    return np.array([np.searchsorted(row, levels, side="right") for row in u], dtype=np.float64)


def _histogram(u: Array, bins: int) -> Array:
    inner = _counts(u, np.arange(1, bins) / bins)
    return np.diff(inner, prepend=0.0, append=float(u.shape[1]), axis=1)
