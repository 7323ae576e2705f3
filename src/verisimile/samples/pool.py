"""Two samples become one pool of events, and draws of the null say who is the first sample."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from verisimile.core.arrays import Array, IntArray, digest, frozen
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.data.events import Events, match_features
from verisimile.data.groups import compact, stacked_groups
from verisimile.samples.angles import Angle, circles, periodic, turned
from verisimile.samples.coordinates import Coordinates, varying
from verisimile.samples.copies import exact_copies
from verisimile.samples.draws import (
    Labels,
    MassRows,
    multiplied,
    relabeled,
    stretched_signs,
    unit_masses,
    units_of_first,
    variance_freedom,
)

Null = Literal["relabelings", "multipliers"]
"""Exact relabelings of exchangeable events, or a multiplier bootstrap of each side's masses."""

FEWEST_EFFECTIVE = 30.0
"""Effective events (or groups) below which multipliers are not trusted."""
LARGEST_SHARE = 0.15
"""Share of one event (or group) above which they are not."""

_FEWEST = 2
_KINDS = ("none", "positive", "signed")


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """All events in common coordinates, the first sample's first.

    Attributes
    ----------
    x
        Coordinates ``(N, d)``: constant features left out, periodic ones on circles.
    weights
        ``(N,)``, of mean one in either sample; ones if there are none.
    sizes
        Events of the first and of the second sample.
    n_effective
        Their effective numbers: one over the sum of squared shares of groups, or of events.
    largest_share
        The largest share of a group, or of an event, in each.
    kind
        ``"none"``, ``"positive"`` or ``"signed"`` weights.
    null
        How draws of the null are made.
    units
        What is drawn as a whole ``(N,)``: the group of each event, or its place.
    n_units
        Units of the whole pool, from which this one may have been thinned.
    rows
        Places of these events in the whole pool ``(N,)``.
    coordinates
        Name of the coordinates.
    warnings
        What a reader must know.
    angles
        The periodic features.
    """

    x: Array
    weights: Array
    sizes: tuple[int, int]
    n_effective: tuple[float, float]
    largest_share: tuple[float, float]
    kind: str
    null: Null
    units: IntArray
    n_units: int
    rows: IntArray
    coordinates: str
    warnings: tuple[str, ...]
    angles: tuple[Angle, ...] = ()

    @property
    def key(self) -> str:
        """Content key of the pooled events, who they belong to, and who belongs together."""
        alone = self.n_units == self.units.size
        more = [] if alone else [self.units]
        more += [np.array(angle.columns) for angle in self.angles]
        return digest(self.x, self.weights, np.array(self.sizes), *more)

    @property
    def grouped(self) -> bool:
        """Whether some events belong together."""
        return np.unique(self.units).size < self.units.size

    @property
    def masses(self) -> tuple[Array, Array]:
        """Masses of the events of each sample, of sum one."""
        split = self.sizes[0]
        first, second = self.weights[:split], self.weights[split:]
        return first / first.sum(), second / second.sum()

    @property
    def centre(self) -> Array:
        """Masses of the pooled distribution ``(N,)``: samples by their effective numbers."""
        total = sum(self.n_effective)
        return np.concatenate(
            [m * (n / total) for m, n in zip(self.masses, self.n_effective, strict=True)]
        )

    @property
    def refusal(self) -> str:
        """Why draws of this null would make no verdict; empty if they do."""
        if self.null == "relabelings":
            return ""
        for name, n, share in zip(
            ("first", "second"), self.n_effective, self.largest_share, strict=True
        ):
            what = "groups" if self.grouped else "events"
            if n < FEWEST_EFFECTIVE:
                return (
                    f"the weights of the {name} sample leave {n:.3g} effective {what}, and the "
                    f"null needs {FEWEST_EFFECTIVE:.0f}: take more events, or declare the weights "
                    "of both samples exchangeable if one law made them"
                )
            if share > LARGEST_SHARE:
                return (
                    f"one of the {what} holds {100.0 * share:.3g} % of the {name} sample, and the "
                    f"null allows {100.0 * LARGEST_SHARE:.0f} %: take more events"
                )
        return ""

    def observed(self) -> Labels:
        """Return the true labels ``(1, N)``."""
        return np.arange(sum(self.sizes))[None, :] < self.sizes[0]

    def relabeled(self, seeds: Seeds, first: int, count: int) -> Labels:
        """Return relabelings number `first` and following ``(count, N)``, one stream each.

        Whole units change sides; each side keeps its number of units.
        """
        units = compact(self.units)
        return relabeled(units, units_of_first(units, self.sizes[0]), seeds, first, count)

    def observed_masses(self) -> MassRows:
        """Return the samples' masses as rows of one."""
        first, second = self.masses
        a = np.concatenate([first, np.zeros(second.size)])
        b = np.concatenate([np.zeros(first.size), second])
        return MassRows(a[None], b[None], a - b)

    def multiplied(self, seeds: Seeds, first: int, count: int) -> MassRows:
        r"""Return mass rows number `first` and following, one stream each.

        .. math:: a^* = p + \delta^*_1, \qquad b^* = p + \delta^*_2

        with the pooled masses p, and the fluctuations of each sample by itself of
        :func:`~verisimile.samples.draws.multiplied`, stretched as
        :func:`~verisimile.samples.draws.stretched_signs` says.  A pool that was thinned has the
        signs of the whole.
        """
        ours, theirs = self.masses
        freedom = variance_freedom(np.concatenate([ours, -theirs]), self.units)
        drawn = stretched_signs(seeds, range(first, first + count), self.n_units, freedom)
        split, centre = self.sizes[0], self.centre
        a, b = np.tile(centre, (count, 1)), np.tile(centre, (count, 1))
        a[:, :split] += multiplied(ours, self.units[:split], drawn)
        b[:, split:] += multiplied(theirs, self.units[split:], drawn)
        return MassRows(a, b, np.concatenate([ours, -theirs]))

    def thinned(self, most: int, rng: np.random.Generator) -> Pool:
        """Return at most so many events: random ones of each sample, which keeps relabelings exact.

        The smaller sample stays whole as long as it is no more than half of them.
        """
        sizes = _shares(self.sizes, most)
        if sizes == self.sizes:
            return self
        split = self.sizes[0]
        kept = [
            np.sort(rng.choice(have, size=want, replace=False)) if want < have else np.arange(have)
            for have, want in zip(self.sizes, sizes, strict=True)
        ]
        rows = np.concatenate([kept[0], kept[1] + split])
        weights = [
            _of_mean_one(part, f"{name} sample, thinned to {part.size} events")
            for part, name in zip(
                np.split(self.weights[rows], [sizes[0]]), ("first", "second"), strict=True
            )
        ]
        units = np.split(self.units[rows], [sizes[0]])
        worth = [_worth(w, u) for w, u in zip(weights, units, strict=True)]
        return replace(
            self,
            x=frozen(self.x[rows]),
            weights=frozen(np.concatenate(weights)),
            sizes=sizes,
            n_effective=(worth[0][0], worth[1][0]),
            largest_share=(worth[0][1], worth[1][1]),
            units=_fixed(self.units[rows]),
            rows=_fixed(rows),
            angles=tuple(angle.take(rows) for angle in self.angles),
        )


def pooled(
    first: Events,
    second: Events,
    coordinates: Coordinates,
    *,
    exchangeable_weights: bool = False,
) -> Pool:
    """Return the pool of two samples, features matched by name.

    Parameters
    ----------
    first, second
        The samples.
    coordinates
        Common coordinates, made of all events.
    exchangeable_weights
        Whether one law made the weights of both samples, so that events may be relabeled
        with their weights.  Without weights, or with one constant weight in each sample, that
        is so.

    Raises
    ------
    InputError
        If the features differ, a sample has fewer than two events or weights
        without a positive sum, or no feature has more than one value.
    """
    second = match_features(second, first.features)
    for events, name in ((first, "first sample"), (second, "second sample")):
        _check_size(events, name)
    x = turned(np.concatenate([first.x, second.x]), first.features)
    kept = varying(x)
    _check_features(first, any_varies=bool(kept.any()))
    around = circles(x[:, kept], periodic(first.features)[kept])
    weights = [_unit(first, "first sample"), _unit(second, "second sample")]
    alone = np.arange(first.n + second.n)
    groups = stacked_groups((first.group, second.group), (first.n, second.n))
    units = alone if groups is None else groups
    worth = [_worth(w, u) for w, u in zip(weights, np.split(units, [first.n]), strict=True)]
    plain = all(bool((w == 1.0).all()) for w in weights)
    pool = Pool(
        x=frozen(
            coordinates.of(around.x, around.blocks) if around.angles else coordinates.of(around.x)
        ),
        weights=frozen(np.concatenate(weights)),
        sizes=(first.n, second.n),
        n_effective=(worth[0][0], worth[1][0]),
        largest_share=(worth[0][1], worth[1][1]),
        kind=max(_kind(first), _kind(second), key=_KINDS.index),
        null="relabelings" if plain or exchangeable_weights else "multipliers",
        units=_fixed(units),
        n_units=int(units.max()) + 1,
        rows=_fixed(alone),
        coordinates=coordinates.name,
        angles=around.angles,
        warnings=(
            *(
                f"feature {name!r} has one value only and is left out"
                for name, varies in zip(first.names, kept, strict=True)
                if not varies
            ),
            *_sharing(first, second),
        ),
    )
    return replace(pool, warnings=(*pool.warnings, *_small(pool)))


def _fixed(codes: IntArray) -> IntArray:
    codes = codes.copy()
    codes.setflags(write=False)
    return codes


def _shares(sizes: tuple[int, int], most: int) -> tuple[int, int]:
    """Return how many events of each sample are kept among at most so many."""
    if sum(sizes) <= most:
        return sizes
    half = most // 2
    small = min(min(sizes), half)
    return (small, most - small) if sizes[0] <= sizes[1] else (most - small, small)


def _worth(weights: Array, units: IntArray) -> tuple[float, float]:
    """Return the effective number of units, and the largest share of one."""
    codes = compact(units)
    share = unit_masses(weights / weights.sum(), codes, int(codes.max()) + 1)
    return float(1.0 / (share**2).sum()), float(np.abs(share).max())


def _check_size(events: Events, name: str) -> None:
    if events.n < _FEWEST:
        raise InputError(
            name,
            got=f"{events.n} event",
            expected="two events or more",
            remedy="Check the selection: a test needs a spread within each sample.",
        )


def _check_features(events: Events, *, any_varies: bool) -> None:
    if not any_varies:
        raise InputError(
            "samples",
            got=f"one and the same value of every feature {events.names}",
            expected="a feature that varies",
            remedy="Check the columns that were read.",
        )


def _unit(events: Events, name: str) -> Array:
    """Return weights of mean one: a common scale, whatever luminosity they were made for."""
    if events.weights is None:
        return np.ones(events.n)
    # The same weight for all is none; its mean may differ from it in the last bit.
    same = events.weights[0] > 0.0 and (events.weights == events.weights[0]).all()
    return np.ones(events.n) if same else _of_mean_one(events.weights, name)


def _of_mean_one(weights: Array, name: str) -> Array:
    scaled = weights / np.abs(weights).max()
    if not scaled.sum() > 0.0:
        raise InputError(
            name,
            got=f"weights with the sum {weights.sum():.4g}",
            expected="a positive sum",
            remedy="A density cannot be normalised otherwise; take more events.",
        )
    return np.asarray(scaled / scaled.mean())


def _kind(events: Events) -> str:
    if events.weights is None:
        return "none"
    return "signed" if events.signed else "positive"


def _sharing(first: Events, second: Events) -> list[str]:
    shared = exact_copies(first, second)
    if shared is None:
        return []
    return [
        f"{shared.count} of {second.n} events of the second sample occur in the first: "
        "samples that share events look more alike than they are"
    ]


def _small(pool: Pool) -> list[str]:
    if pool.kind == "none":
        return []
    return [
        f"the {name} sample is worth {n:.1f} unweighted events only"
        for name, n in zip(("first", "second"), pool.n_effective, strict=True)
        if n < FEWEST_EFFECTIVE
    ]
