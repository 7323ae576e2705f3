"""Tilted relabelings: who is called the second sample depends on the event, by a known effect."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, BoolArray, IntArray, digest, frozen
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.data.groups import compact
from verisimile.samples.coordinates import NormalScores, Standardised, varying
from verisimile.samples.pool import Labels, MassRows, Pool, unit_masses, units_of_first

Order = npt.NDArray[np.int32]
"""Places of events: half of what int64 takes, in memory and on the way to a worker."""

_SHARE = 0.01
_FAR = 700.0  # log odds of which the exponential is still finite
_CANDIDATES = 8  # intervals drawn where ties make some of them wide


@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """What the odds of being in the second sample depend on, and what the effect is measured by.

    Attributes
    ----------
    log_odds
        Log odds of every event per unit of strength ``(N,)``.
    measure
        The effect is the second sample's weighted mean of it less the first's ``(N,)``.
    """

    log_odds: Array
    measure: Array


class TiltFamily(Protocol):
    """A family of directions."""

    @property
    def name(self) -> Literal["shift", "local"]:
        """Name of the effect."""

    @property
    def unit(self) -> str:
        """What the effect is counted in."""

    @property
    def scale(self) -> float:
        """Standard deviation of the log odds per unit of strength."""

    @property
    def key(self) -> str:
        """Content key of what directions are made of."""

    def direction(self, rng: np.random.Generator) -> Direction:
        """Return a random direction."""

    def at(self, rows: IntArray) -> TiltFamily:
        """Return the tilt of some of the events, which stays that of all of them."""

    def bundled(self, codes: Order, count: int) -> TiltFamily:
        """Return the tilt of bundles, `codes` ``(N,)`` of `count`: sums of odds, mean measures."""


@dataclass(frozen=True, slots=True, eq=False)
class Shift:
    r"""One feature is shifted: odds :math:`e^{\epsilon s z_{ij}}`, feature and sign at random.

    z are normal scores, so that no tail decides.  For a normal feature this is a shift of its
    mean by :math:`\epsilon` standard deviations.

    Attributes
    ----------
    scores
        Normal scores of the pooled features ``(d, N)``.
    standardised
        The features in pooled standard deviations, weighted ones if there are weights ``(d, N)``.
    """

    name: ClassVar[Literal["shift"]] = "shift"
    unit: ClassVar[str] = "difference of means of one feature, in pooled standard deviations"
    scale: ClassVar[float] = 1.0

    scores: Array
    standardised: Array
    key: str

    @classmethod
    def of(cls, x: Array, weights: Array) -> Shift:
        """Return the shifts of pooled events ``(N, d)``; constant features are left out."""
        kept = x[:, varying(x)]
        z = Standardised().of(kept)
        share = weights / weights.sum()
        variance = share @ z**2 - (share @ z) ** 2
        # Signed weights may leave a feature without a positive variance.
        scaled = frozen((z / np.sqrt(np.where(variance > 0.0, variance, 1.0))).T)
        scores = frozen(NormalScores().of(kept).T)
        return cls(scores, scaled, digest(scores, scaled))

    def direction(self, rng: np.random.Generator) -> Direction:
        """Return a random feature with a random sign."""
        feature, sign = rng.integers(len(self.scores)), rng.choice([-1.0, 1.0])
        return Direction(sign * self.scores[feature], sign * self.standardised[feature])

    def at(self, rows: IntArray) -> Shift:
        """Return the shifts of some of the events."""
        return Shift(frozen(self.scores[:, rows]), frozen(self.standardised[:, rows]), self.key)

    def bundled(self, codes: Order, count: int) -> Shift:
        """Return the shifts of bundles."""

        def sums(rows: Array) -> Array:
            return np.stack([np.bincount(codes, weights=row, minlength=count) for row in rows])

        means = sums(self.standardised) / np.bincount(codes, minlength=count)
        return Shift(sums(self.scores), np.asarray(means, dtype=np.float64), self.key)


@dataclass(frozen=True, slots=True, eq=False)
class Local:
    r"""An interval of one feature is fuller: odds :math:`e^{\epsilon}` inside, one elsewhere.

    The interval holds 1 % of the pooled events, at a random place of a random feature.
    Values that tie are all in or all out; of eight places with wide ties the narrowest is used.

    Attributes
    ----------
    places
        Events, or bundles, in ascending order of each feature ``(d, n)``.
    ranks
        Places of these events in the order of all ``(d, n)``; None for all of them.
    starts
        Where each value begins in the order of all, for each feature; None where no value repeats.
    total
        N, all events.
    sizes
        Events of each bundle; ones if every event stands alone.
    key
        Content key of the features.
    """

    name: ClassVar[Literal["local"]] = "local"
    unit: ClassVar[str] = "share of the second sample moved into an interval with 1 % of the events"
    scale: ClassVar[float] = float(np.sqrt(_SHARE * (1.0 - _SHARE)))

    places: Order
    ranks: Order | None
    starts: tuple[Order | None, ...]
    total: int
    sizes: Array
    key: str

    @classmethod
    def of(cls, x: Array) -> Local:
        """Return the intervals of pooled events ``(N, d)``; constant features are left out."""
        columns = np.ascontiguousarray(x[:, varying(x)].T)
        order = np.argsort(columns, axis=1)
        starts = [
            np.flatnonzero(np.append(True, column[line[1:]] > column[line[:-1]])).astype(np.int32)
            for column, line in zip(columns, order, strict=True)
        ]
        return cls(
            places=order.astype(np.int32),
            ranks=None,
            starts=tuple(None if each.size == len(x) else each for each in starts),
            total=len(x),
            sizes=np.ones(len(x)),
            key=digest(columns),
        )

    def direction(self, rng: np.random.Generator) -> Direction:
        """Return a random interval of a random feature."""
        best = self._interval(rng)
        for _ in range(_CANDIDATES - 1):
            if best[2] - best[1] <= 2.0 * _SHARE * self.total:
                break
            best = min(best, self._interval(rng), key=lambda found: found[2] - found[1])
        feature, low, high = best
        if self.ranks is not None:
            low, high = np.searchsorted(self.ranks[feature], (low, high)).tolist()
        inside = np.bincount(self.places[feature, low:high], minlength=self.sizes.size)
        return Direction(inside.astype(np.float64), inside / self.sizes)

    def at(self, rows: IntArray) -> Local:
        """Return the intervals of some of the events, each with 1 % of all."""
        place = np.full(self.total, -1, dtype=np.int32)
        place[rows] = np.arange(rows.size, dtype=np.int32)
        placed = place[self.places]
        ranks = np.nonzero(placed >= 0)[1].reshape(len(placed), -1).astype(np.int32)
        places = np.take_along_axis(placed, ranks, axis=1)
        return replace(self, places=places, ranks=ranks, sizes=np.ones(rows.size))

    def bundled(self, codes: Order, count: int) -> Local:
        """Return the intervals of bundles."""
        sizes = np.bincount(codes, minlength=count).astype(np.float64)
        return replace(self, places=codes[self.places], sizes=sizes)

    def _interval(self, rng: np.random.Generator) -> tuple[int, int, int]:
        """Return a feature, the first of the ordered events that are inside, and the one beyond."""
        count, feature = max(1, round(_SHARE * self.total)), int(rng.integers(len(self.places)))
        low = int(rng.integers(self.total - count + 1))
        high, starts = low + count, self.starts[feature]
        if starts is not None:
            first, beyond = np.searchsorted(starts, (low, high - 1), "right").tolist()
            low = int(starts[first - 1])
            high = int(starts[beyond]) if beyond < starts.size else self.total
        return feature, low, high


def tilt_labels(
    tilt: TiltFamily, strength: float, pool: Pool, seeds: Seeds
) -> tuple[Labels, float]:
    r"""Return a relabeling ``(N,)`` that keeps the sizes of the samples, and its effect.

    The second sample are the events with the largest :math:`\epsilon u_i + L_i`, with L from
    the standard logistic distribution: given the threshold c that this sets, event i is in
    it with probability

    .. math:: \pi_i = 1 / (1 + e^{c - \epsilon u_i}),

    that is with the odds wanted, and sizes are kept exactly.  The effect is

    .. math:: \frac{\sum w \pi m}{\sum w \pi} - \frac{\sum w (1 - \pi) m}{\sum w (1 - \pi)},

    what is achieved on average over labelings; one labeling fluctuates about it.  Groups
    change sides as a whole, with the product of their events' odds.  The tilt is of the events
    of `pool`, and `strength` is :math:`\epsilon`.
    """
    rng = seeds.numpy()
    direction, weights, last = tilt.direction(rng), pool.weights, pool.sizes[0]
    measure = direction.measure
    log_odds, together = strength * direction.log_odds, None
    if not (pool.units[1:] > pool.units[:-1]).all():
        together = compact(pool.units)
        last = units_of_first(together, last)
        log_odds = unit_masses(log_odds, together, int(together.max()) + 1)
    first, share = _sides(log_odds, last, rng)
    if together is not None:
        first, share = first[together], share[together]
    probable = weights * share
    return first, _mean(measure, probable) - _mean(measure, weights - probable)


def _sides(log_odds: Array, last: int, rng: np.random.Generator) -> tuple[BoolArray, Array]:
    """Return which units ``(U,)`` are on the first side, `last` of them, and the shares pi."""
    uniform = rng.random(log_odds.size)
    heights = log_odds + np.log(uniform / (1.0 - uniform))
    ordered = np.partition(heights, last - 1)
    threshold = 0.5 * (ordered[last - 1] + ordered[last:].min())
    # Several times as fast as scipy's expit, which has no need of the limit.
    share = 1.0 / (1.0 + np.exp(np.minimum(threshold - log_odds, _FAR)))
    return heights <= threshold, share


def tilted_masses(
    tilt: TiltFamily, strength: float, pool: Pool, seeds: Seeds
) -> tuple[MassRows, float]:
    r"""Return a pair of mass rows of which the second is tilted, and the effect.

    .. math:: a = p + \delta^*_1, \qquad b = p^\epsilon + \delta^*_2, \qquad
              p^\epsilon_i = \frac{p_i e^{\epsilon u_i}}{\sum_j p_j e^{\epsilon u_j}}

    with the fluctuations of a null draw.  The effect is
    :math:`\sum_i (p^\epsilon_i - p_i) m_i`; arguments are those of :func:`tilted`.
    """
    direction = tilt.direction(seeds.numpy())
    centre = pool.centre
    log_odds = strength * direction.log_odds
    shifted = centre * np.exp(log_odds - log_odds.max())
    if not shifted.sum() > 0.0:
        raise InputError(
            "tilted masses",
            got=f"the sum {shifted.sum():.3g} at the strength {strength:.3g}",
            expected="a positive sum",
            remedy="Too few effective events: take more of them.",
        )
    shifted /= shifted.sum()
    drawn = pool.multiplied(seeds.at("multiply"), 0, 1)
    rows = MassRows(drawn.first, drawn.second + (shifted - centre), drawn.base)
    return rows, float((shifted - centre) @ direction.measure)


def _mean(values: Array, weights: Array) -> float:
    return float(weights @ values / weights.sum())
