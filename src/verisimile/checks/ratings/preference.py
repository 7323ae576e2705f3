"""Side-by-side preference: how often one system is preferred, and strengths of all."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np
from scipy import sparse, special, stats

from verisimile.checks.ratings.clusters import Clusters, rate_of
from verisimile.checks.ratings.forced_choice import flip_p_value, item_differences
from verisimile.checks.ratings.table import Ratings, encode
from verisimile.core.arrays import Array, BoolArray, IntArray, frozen
from verisimile.core.errors import InputError, NumericsError, require
from verisimile.core.result import Result, register
from verisimile.stats.pvalues import PValue

_TIE = "tie"
_STEPS, _SMALL = 100, 1e-12


@register("pair-rate", 1)
@dataclass(frozen=True, slots=True)
class PairRate(Result):
    """How often one system was preferred to another.

    Attributes
    ----------
    wins, losses, ties
        Of the first.
    rate
        Wins plus half the ties, over all answers.
    interval
        On the rate, for answers that share raters and items (Korn and Graubard).
    p_value
        Against one half, from exact flips of items.
    """

    first: str
    second: str
    wins: int
    losses: int
    ties: int
    rate: float
    interval: tuple[float, float]
    p_value: PValue


@register("preference", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Preference(Result):
    r"""Strengths of systems that were compared two by two.

    Attributes
    ----------
    systems
        Their names, sorted: the order of everything below.
    strengths
        Bradley–Terry log-strengths ``(k,)``, which add up to zero.
    covariance
        Of the strengths ``(k, k)``, for answers that share raters and items: what
        :math:`H^{-1} J H^{-1}` gives with clustered J, right also with ties.
    independent_covariance
        :math:`H^{-1}`: for independent answers without ties.
    low, high
        Intervals on the strengths ``(k,)``, each on its own.
    pairs
        Rates of all pairs that met.
    """

    systems: tuple[str, ...]
    strengths: Array
    covariance: Array
    independent_covariance: Array
    low: Array
    high: Array
    pairs: tuple[PairRate, ...]
    n_answers: int
    n_raters: int
    n_items: int
    level: float
    warnings: tuple[str, ...] = ()
    listed: ClassVar[tuple[str, ...]] = ("systems", "strengths", "low", "high")

    def __repr__(self) -> str:
        errors = np.sqrt(np.diag(self.covariance))
        parts = zip(self.systems, self.strengths, errors, strict=True)
        return f"Preference({', '.join(f'{s}: {x:.3f} ± {e:.2g}' for s, x, e in parts)})"


def preference(ratings: Ratings, *, level: float = 0.95) -> Preference:
    """Return rates of all pairs, and Bradley–Terry strengths of all systems.

    An answer is the name of the preferred system, or ``tie``, half a win for both.  Strengths do
    not exist where one group of systems never beats, or never loses to, the others.
    """
    names, first, second = _sides(ratings)
    scores = _scores(ratings)
    wins = np.zeros((len(names), len(names)))
    np.add.at(wins, (first, second), scores)
    np.add.at(wins, (second, first), 1.0 - scores)
    strengths, clusters = bradley_terry(wins, names), Clusters.of(ratings)
    bread = inverse_information(wins, strengths)
    residual = scores - 1.0 / (1.0 + np.exp(strengths[second] - strengths[first]))
    shares, rows = np.zeros((ratings.n, len(names))), np.arange(ratings.n)
    shares[rows, first], shares[rows, second] = residual, -residual
    covariance = bread @ clusters.covariance(shares) @ bread
    if not residual.any():
        covariance = bread  # ties alone: their spread says nothing on that of other answers
    half = stats.t.ppf(0.5 * (1.0 + level), clusters.dof) * np.sqrt(np.diag(covariance))
    raters, items = clusters.sizes
    return Preference(
        systems=names,
        strengths=frozen(strengths),
        covariance=frozen(covariance),
        independent_covariance=frozen(bread),
        low=frozen(strengths - half),
        high=frozen(strengths + half),
        pairs=_pairs(ratings, scores, (first, second), level),
        n_answers=ratings.n,
        n_raters=raters,
        n_items=items,
        level=level,
        warnings=_warnings(covariance, bread, clusters),
    )


def _sides(ratings: Ratings) -> tuple[tuple[str, ...], IntArray, IntArray]:
    if ratings.others is None:
        expected = "two: the columns first and second"
        raise InputError("ratings", got="one system for each answer", expected=expected)
    names, codes = encode((*ratings.systems, *ratings.others))
    return names, codes[: ratings.n], codes[ratings.n :]


def _scores(ratings: Ratings) -> Array:
    out = []
    rows = zip(ratings.answers, ratings.systems, ratings.others or (), strict=True)
    for row, (answer, first, second) in enumerate(rows):
        worth = {first: 1.0, second: 0.0}
        # A system may be called "tie"; its name then comes first.
        value = worth.get(answer, 0.5 if answer.lower() == _TIE else None)
        if value is None:
            expected = f"{first!r}, {second!r} or {_TIE!r}"
            raise InputError("answers", got=f"{answer!r} in row {row + 1}", expected=expected)
        out.append(value)
    return np.array(out)


def _pairs(
    ratings: Ratings, scores: Array, sides: tuple[IntArray, IntArray], level: float
) -> tuple[PairRate, ...]:
    found = []
    for i, j in combinations(range(len(ratings.names)), 2):
        here = (sides[0] == i) & (sides[1] == j)
        turned = (sides[0] == j) & (sides[1] == i)
        if (here | turned).any():
            values = np.where(turned, 1.0 - scores, scores)
            found.append(_pair(ratings, values, here | turned, (i, j), level))
    return tuple(found)


def _pair(
    ratings: Ratings, values: Array, here: BoolArray, pair: tuple[int, int], level: float
) -> PairRate:
    clusters = Clusters.of(ratings.take(here))
    own = values[here]
    rate = rate_of(own, clusters, level=level)
    return PairRate(
        first=ratings.names[pair[0]],
        second=ratings.names[pair[1]],
        wins=int((own == 1.0).sum()),
        losses=int((own == 0.0).sum()),
        ties=int((own == 0.5).sum()),
        rate=rate.value,
        interval=rate.interval,
        p_value=flip_p_value(item_differences(own, clusters.items)),
    )


def _warnings(covariance: Array, independent: Array, clusters: Clusters) -> tuple[str, ...]:
    found = []
    if (np.diag(covariance) > 1.1 * np.diag(independent)).any():
        found.append(
            "Answers of one rater, or on one item, agree more than by chance: errors for"
            " independent answers would be too small."
        )
    if clusters.sizes[0] == 1:
        found.append("One rater: the result says nothing on others.")
    return tuple(found)


def bradley_terry(wins: Array, names: tuple[str, ...] = ()) -> Array:
    r"""Return the log-strengths ``(k,)``, which add up to zero.

    .. math:: P(i \text{ beats } j) = \frac{1}{1 + e^{\lambda_j - \lambda_i}}

    from wins ``(k, k)`` of the row over the column; a tie is half a win for both.
    Newton's method with halved steps; the likelihood is concave.  An InputError names the systems
    that never beat, or never lose to, the rest, directly or through others.

    References
    ----------
    R. A. Bradley, M. E. Terry, Biometrika 39 (1952) 324; L. R. Ford, Am. Math. Mon. 64
    (1957) 28 (existence).
    """
    _check_connected(wins, names or tuple(map(str, range(len(wins)))))
    played, strengths = wins + wins.T, np.zeros(len(wins))
    for _ in range(_STEPS):
        gradient = wins.sum(axis=1) - (played * _chance(strengths)).sum(axis=1)
        step = inverse_information(wins, strengths) @ gradient
        strengths = _ahead(wins, strengths, step)
        if gradient @ step < _SMALL:
            return np.asarray(strengths - strengths.mean())
    raise NumericsError(
        "Bradley-Terry", got=f"no maximum after {_STEPS} steps", expected="a finite maximum"
    )


def _check_connected(wins: Array, names: tuple[str, ...]) -> None:
    count, group = sparse.csgraph.connected_components(
        sparse.csr_matrix(wins > 0.0), directed=True, connection="strong"
    )
    parts = [[names[i] for i in np.flatnonzero(group == g)] for g in range(count)]
    require(
        count == 1,
        "preferences",
        got=f"the groups {parts} without wins or ties both ways between them",
        expected="a chain of wins from every system to every other: otherwise the likelihood"
        " grows without end and no strengths exist",
        remedy="Ask for more comparisons between these groups, or drop a system.",
    )


def inverse_information(wins: Array, strengths: Array) -> Array:
    r"""Return the covariance of strengths that add up to zero, for independent answers.

    The information is :math:`\sum n_{ij} p_{ij} p_{ji} (e_i - e_j)(e_i - e_j)^T`, ``(k, k)``.
    """
    chance = _chance(strengths)
    weight = (wins + wins.T) * chance * chance.T
    # Adding a constant to all strengths changes nothing: that direction is taken out.
    k = len(wins)
    constant = np.full((k, k), 1.0 / k)
    return np.asarray(np.linalg.inv(np.diag(weight.sum(axis=1)) - weight + constant) - constant)


def _ahead(wins: Array, strengths: Array, step: Array) -> Array:
    start = _log_likelihood(wins, strengths)
    for _ in range(60):
        if _log_likelihood(wins, strengths + step) >= start - 1e-9 * abs(start):
            break
        step = 0.5 * step
    return np.asarray(strengths + step)


def _log_likelihood(wins: Array, strengths: Array) -> float:
    return float((wins * special.log_expit(strengths[:, None] - strengths)).sum())


def _chance(strengths: Array) -> Array:
    return np.asarray(special.expit(strengths[:, None] - strengths), dtype=np.float64)
