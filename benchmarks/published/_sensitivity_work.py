"""The smallest effects that statistics see: pairs of samples against the law of equal ones.

Nothing is permuted for a pair.  Values of equal samples come from a few pools of two of them, each
relabeled many times: every relabeling is a pair of equal samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from published._sensitivity_effects import DEFORMATIONS, Draw, GaussianModes, strengths
from verisimile.checks.twosample.statistics.protocol import Statistic, Tabulated
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.records import Payload
from verisimile.samples.coordinates import Coordinates
from verisimile.samples.pool import Labels

LEVEL, POWER = 0.05, 0.95
_TAIL = 0.025  # beyond either end of an interval


@dataclass(frozen=True)
class Entered:
    """A statistic by its name, in its coordinates; None for the events as they are."""

    name: str
    statistic: Statistic
    coordinates: Coordinates | None


@dataclass(frozen=True)
class Problem:
    """One mixture, one effect, the sizes of everything, and the statistics that look.

    `power` is that of the smallest effect; None for the published criterion, see :func:`margin`.
    """

    modes: GaussianModes
    effect: str
    n: int
    pairs: int
    pools: int
    relabelings: int
    steps: int
    ratio: float
    power: float | None
    statistics: tuple[Entered, ...]


def column(entered: Entered, pooled: Array, rows: Labels, rng: np.random.Generator) -> Array:
    """Return the statistic's columns ``(R, J)`` for each row of labels ``(R, N)``."""
    chosen = entered.coordinates
    x = pooled if chosen is None else chosen.of(pooled)
    prepared = entered.statistic.prepare(x, np.ones(len(x)), rng)
    if isinstance(prepared, Tabulated):
        return prepared.table(rows)
    return np.asarray(prepared.values(rows))[:, None]


def nulls(seeds: Seeds, problem: Problem) -> Payload:
    """Return values of equal samples by statistic ``(pools, relabelings, J)``."""
    found: dict[str, list[Array]] = {each.name: [] for each in problem.statistics}
    for place in range(problem.pools):
        rng = seeds.at("pool", place).numpy()
        pooled = Draw.of(problem.modes, 2 * problem.n, rng).events(problem.modes)
        rows = np.zeros((problem.relabelings, 2 * problem.n), dtype=np.bool_)
        for row in rows:
            row[rng.permutation(2 * problem.n)[: problem.n]] = True
        for each in problem.statistics:
            own = seeds.at("pool", place, each.name).numpy()
            found[each.name].append(column(each, pooled, rows, own))
    return Payload({name: np.stack(tables) for name, tables in found.items()})


def searched(seeds: Seeds, problem: Problem, law: Mapping[str, Array]) -> Payload:
    """Return the values of pairs at all strengths that were looked at."""
    sizes = strengths(problem.effect, problem.modes, problem.steps, problem.ratio)
    looks: dict[str, dict[int, Array]] = {each.name: {} for each in problem.statistics}
    while wanted := dict(_wanted(problem, law, looks)):
        _look_at(wanted, seeds, problem, sizes, looks)
    return _packed(sizes, looks)


def widened(
    seeds: Seeds, problem: Problem, law: Mapping[str, Array], looked: Mapping[str, Array]
) -> Payload:
    """Return the same with further strengths, so that the ends of intervals lie between looks."""
    sizes = strengths(problem.effect, problem.modes, problem.steps, problem.ratio)
    looks: dict[str, dict[int, Array]] = {}
    for each in problem.statistics:
        places = np.searchsorted(sizes, looked[f"{each.name} at"]).tolist()
        looks[each.name] = dict(zip(places, looked[f"{each.name} values"], strict=True))
    while wanted := dict(_further(problem, law, looks)):
        _look_at(wanted, seeds, problem, sizes, looks)
    return _packed(sizes, looks)


def _look_at(
    wanted: Mapping[str, int],
    seeds: Seeds,
    problem: Problem,
    sizes: Array,
    looks: Mapping[str, dict[int, Array]],
) -> None:
    for place in sorted(set(wanted.values())):
        asked = [each for each in problem.statistics if wanted.get(each.name) == place]
        for name, values in _looked(seeds, problem, float(sizes[place]), asked).items():
            looks[name][place] = values


def _packed(sizes: Array, looks: Mapping[str, Mapping[int, Array]]) -> Payload:
    arrays: dict[str, Array] = {}
    for name, seen in looks.items():
        places = sorted(seen)
        arrays[f"{name} at"] = sizes[places]
        arrays[f"{name} values"] = np.stack([seen[place] for place in places])
    return Payload(arrays)


def _further(
    problem: Problem, law: Mapping[str, Array], looks: Mapping[str, Mapping[int, Array]]
) -> Iterator[tuple[str, int]]:
    """Yield the next strength beyond those looked at, while an end of the interval is there."""
    for name, seen in looks.items():
        places = sorted(seen)
        values = np.stack([seen[place] for place in places])
        lower, upper = limits(values, law[name], problem.power)
        if lower[-1] < 0.0 and places[-1] < problem.steps - 1:
            yield name, places[-1] + 1
        elif upper[0] >= 0.0 and places[0] > 0:
            yield name, places[0] - 1


def confirmed(
    seeds: Seeds, problem: Problem, law: Mapping[str, Array], at: Mapping[str, float]
) -> Payload:
    """Return which of fresh pairs are seen at given strengths, by statistic ``(pairs,)``."""
    arrays = {}
    for each in problem.statistics:
        if each.name in at:
            (values,) = _looked(seeds, problem, at[each.name], [each]).values()
            joined, equal = _joined(values, law[each.name])
            arrays[each.name] = np.asarray(joined > _critical(equal))
    return Payload(arrays)


def _wanted(
    problem: Problem, law: Mapping[str, Array], looks: Mapping[str, Mapping[int, Array]]
) -> Iterator[tuple[str, int]]:
    """Yield the next strength that a statistic is to be looked at, while brackets are open."""
    for name, seen in looks.items():
        place = _next(seen, law[name], problem.power, problem.steps)
        if place is not None:
            yield name, place


def _next(seen: Mapping[int, Array], law: Array, power: float | None, steps: int) -> int | None:
    if not seen:
        return steps // 2
    margins = {place: margin(values[None], law, power)[0] for place, values in seen.items()}
    high = min((place for place, each in margins.items() if each >= 0.0), default=steps)
    low = max((place for place in margins if place < high), default=-1)
    if high - low <= 1:
        return None
    if high == steps:  # nothing is seen yet: further steps, and the last one in the end
        return min(steps - 1, low + max(1, (high - low) // 2))
    return (low + high) // 2


def _looked(
    seeds: Seeds, problem: Problem, size: float, asked: Sequence[Entered]
) -> dict[str, Array]:
    """Return the statistics' columns of all pairs at one strength ``(pairs, J)``."""
    modes, n = problem.modes, problem.n
    direction = seeds.at("direction").numpy().uniform(-1.0, 1.0, modes.mean.size)
    row = np.arange(2 * n)[None] < n
    found: dict[str, list[Array]] = {each.name: [] for each in asked}
    for pair in range(problem.pairs):
        rng = seeds.at("pair", pair).numpy()
        first, second = (Draw.of(modes, n, rng) for _ in range(2))
        deformed = DEFORMATIONS[problem.effect](modes, second, size, direction)
        pooled = np.concatenate([first.events(modes), deformed])
        for each in asked:
            own = seeds.at("pair", pair, each.name).numpy()
            found[each.name].append(column(each, pooled, row, own)[0])
    return {name: np.stack(values) for name, values in found.items()}


def _joined(values: Array, law: Array) -> tuple[Array, Array]:
    """Return one number for each pair and each null value: the column that is furthest out.

    In standard deviations of the column's null values, since statistics of several widths combine
    by their smallest p-value, which has a floor at so many null values.
    """
    flat = law.reshape(-1, law.shape[-1])
    if flat.shape[1] == 1:
        return values[..., 0], flat[:, 0]
    centre, scale = flat.mean(axis=0), flat.std(axis=0)
    return ((values - centre) / scale).max(axis=-1), ((flat - centre) / scale).max(axis=-1)


def margin(values: Array, law: Array, power: float | None) -> Array:
    r"""Return by how much a share `power` of pairs exceeds the critical value ``(K,)``.

    .. math:: m = \bar T - z_{power}\, s_T - q_{0.95}

    of values ``(K, pairs, J)``, normal over pairs, above zero where the effect is seen.  None for
    the published criterion, the mean alone.
    """
    joined, equal = _joined(values, law)
    z = _quantile(power)
    return np.asarray(joined.mean(axis=1) - z * joined.std(axis=1, ddof=1) - _critical(equal))


def limits(values: Array, law: Array, power: float | None) -> tuple[Array, Array]:
    r"""Return the ends of 95 % intervals on the margins ``(K,)``.

    Of pairs: :math:`\bar T - k\, s_T` bounds :math:`\mu - z \sigma` with
    :math:`k = t'_{n-1}(z \sqrt n) / \sqrt n` at quantiles of the noncentral t law, exactly for
    normal T (D. B. Owen, Technometrics 10 (1968) 445).  Of the critical value: the jackknife over
    pools of the null, added in quadrature.
    """
    joined, equal = _joined(values, law)
    pairs, z = joined.shape[1], _quantile(power)
    rows = equal.reshape(len(law), -1)
    without = [_critical(np.delete(rows, place, axis=0).ravel()) for place in range(len(rows))]
    error = float(np.sqrt((len(rows) - 1) * np.var(without)))
    middle, spread = margin(values, law, power), joined.std(axis=1, ddof=1)
    ends = []
    for quantile, sign in ((1.0 - _TAIL, -1.0), (_TAIL, 1.0)):
        k = stats.nct.ppf(quantile, pairs - 1, z * np.sqrt(pairs)) / np.sqrt(pairs)
        reach = np.hypot((k - z) * spread, stats.norm.isf(_TAIL) * error)
        ends.append(np.asarray(middle + sign * reach))
    return ends[0], ends[1]


def _quantile(power: float | None) -> float:
    return 0.0 if power is None else float(stats.norm.ppf(power))


def _critical(equal: Array) -> float:
    return float(np.quantile(equal, 1.0 - LEVEL, method="higher"))


def crossing(sizes: Array, margins: Array) -> float:
    """Return the strength at which margins ``(K,)`` cross zero, NaN where they do nowhere.

    The first one that stays above; linear in the logarithm of the strength.
    """
    below = np.flatnonzero(margins < 0.0)
    if below.size == 0:
        return float(sizes[0])
    last = int(below[-1])
    if last == len(sizes) - 1:
        return float("nan")
    share = -margins[last] / (margins[last + 1] - margins[last])
    return float(sizes[last] * (sizes[last + 1] / sizes[last]) ** share)


def smallest(
    sizes: Array, values: Array, law: Array, power: float | None
) -> dict[str, float | None]:
    """Return the smallest effect with a 95 % interval; None for beyond the largest strength."""
    lower, upper = limits(values, law, power)
    found = {"value": margin(values, law, power), "low": upper, "high": lower}
    return {name: _known(crossing(sizes, each)) for name, each in found.items()}


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
