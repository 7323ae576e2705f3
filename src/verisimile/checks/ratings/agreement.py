"""Fleiss' kappa: how much raters agree beyond chance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from verisimile.checks.ratings.table import Ratings, encode
from verisimile.core.arrays import Array, as_matrix, require_fraction
from verisimile.core.errors import require
from verisimile.core.result import Result, register


@register("agreement", 1)
@dataclass(frozen=True, slots=True)
class Agreement(Result):
    """Agreement of raters beyond chance: Fleiss' kappa.

    Attributes
    ----------
    kappa
        1 for perfect agreement, 0 for that of chance; NaN if only one category occurs.
    error
        Standard error over items.
    null_error
        Standard error if there is no agreement beyond chance, for a test of that; NaN if
        items have different numbers of answers.
    interval
        On kappa, for other items of this kind and these raters, with the larger of both errors.
    observed, chance
        Shares of pairs of answers on an item that agree, and that would by chance.
    shares
        Overall share of each category.
    n_items, n_answers
        Items with two answers or more, and their answers.
    n_dropped
        Items with one answer, which say nothing.
    """

    kappa: float
    error: float
    null_error: float
    interval: tuple[float, float]
    observed: float
    chance: float
    shares: tuple[float, ...]
    n_items: int
    n_answers: int
    n_dropped: int
    level: float

    def __repr__(self) -> str:
        return f"Agreement(kappa={self.kappa:.3f} ± {self.error:.2g}, {self.n_items} items)"


def agreement(ratings: Ratings, *, level: float = 0.95) -> Agreement:
    """Return the agreement of raters on the answer to each item of each system."""
    keys = zip(ratings.items, ratings.systems, ratings.others or ratings.systems, strict=True)
    _, thing = encode([repr(key) for key in keys])
    names, answer = encode(ratings.answers)
    counts = np.zeros((int(thing.max()) + 1, len(names)))
    np.add.at(counts, (thing, answer), 1.0)
    return fleiss_kappa(counts, level=level)


def fleiss_kappa(counts: npt.ArrayLike, *, level: float = 0.95) -> Agreement:
    r"""Return Fleiss' kappa of answers ``(I, k)``: how often each item got each category.

    .. math:: \kappa = \frac{\bar P - P_e}{1 - P_e}, \quad
              P_i = \frac{\sum_j n_{ij} (n_{ij} - 1)}{n_i (n_i - 1)}, \quad
              P_e = \sum_j \bar p_j^2, \quad \bar p_j = \frac1I \sum_i \frac{n_{ij}}{n_i}

    The error is that of the mean over items of kappa's influence,

    .. math:: \kappa_i = \frac{P_i - P_e}{1 - P_e}
              - 2 (1 - \kappa) \frac{\sum_j \bar p_j n_{ij} / n_i - P_e}{1 - P_e} .

    References
    ----------
    J. L. Fleiss, Psychol. Bull. 76 (1971) 378; J. L. Fleiss, J. C. M. Nee, J. R. Landis,
    Psychol. Bull. 86 (1979) 974 (`null_error`); K. L. Gwet, Br. J. Math. Stat. Psychol. 61
    (2008) 29 (the error over items).

    Examples
    --------
    >>> fleiss_kappa([[3, 0], [0, 3], [2, 1], [1, 2]])
    Agreement(kappa=0.333 ± 0.38, 4 items)
    """
    table = as_matrix(counts, "counts")
    counted = (table >= 0.0).all() and (table == np.rint(table)).all()
    require(counted, "counts", got="entries that are no counts", expected="0, 1, 2, …")
    require_fraction(level, "level")
    used = table[table.sum(axis=1) >= 2.0]
    require(
        len(used) >= 2,
        "counts",
        got=f"{len(used)} items with two answers or more",
        expected="two items at least: agreement needs several raters on the same items",
    )
    return _kappa(used, len(table) - len(used), level)


def _kappa(table: Array, dropped: int, level: float) -> Agreement:
    answers = table.sum(axis=1)
    share = table / answers[:, None]
    agree = (table * (table - 1.0)).sum(axis=1) / (answers * (answers - 1.0))
    mean = share.mean(axis=0)
    observed, chance = float(agree.mean()), float((mean**2).sum())
    kappa, error = math.nan, math.nan
    if chance < 1.0:
        kappa = (observed - chance) / (1.0 - chance)
        excess = (share @ mean - chance) / (1.0 - chance)
        influence = (agree - chance) / (1.0 - chance) - 2.0 * (1.0 - kappa) * excess
        error = float(influence.std(ddof=1) / math.sqrt(len(table)))
    null_error = _null_error(mean, answers)
    # Few items that happen to disagree more than by chance also scatter less: near kappa = 0
    # the error over items alone leaves out the truth at the upper end.
    widest = error if math.isnan(null_error) else max(error, null_error)
    half = float(stats.t.ppf(0.5 * (1.0 + level), len(table) - 1)) * widest
    return Agreement(
        kappa=kappa,
        error=error,
        null_error=null_error,
        interval=(kappa - half, kappa + half),
        observed=observed,
        chance=chance,
        shares=tuple(mean.tolist()),
        n_items=len(table),
        n_answers=int(answers.sum()),
        n_dropped=dropped,
        level=level,
    )


def _null_error(share: Array, answers: Array) -> float:
    spread = float((share * (1.0 - share)).sum())
    if np.ptp(answers) > 0.0 or spread == 0.0:
        return math.nan
    n, items = float(answers[0]), answers.size
    skew = float((share * (1.0 - share) * (1.0 - 2.0 * share)).sum())
    return math.sqrt(2.0 * (spread**2 - skew) / (items * n * (n - 1.0))) / spread
