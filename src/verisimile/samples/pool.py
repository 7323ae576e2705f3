"""Two samples become one pool of events, and draws of the null say who is the first sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from verisimile.core.arrays import Array, BoolArray, IntArray, digest, frozen
from verisimile.core.errors import InputError, require
from verisimile.core.random import Seeds
from verisimile.data.events import Events, match_features
from verisimile.data.groups import compact, stacked_groups
from verisimile.samples.choices import choose
from verisimile.samples.coordinates import Angle, Coordinates, circles, in_turns, periodic, varying
from verisimile.samples.copies import exact_copies

Null = Literal["relabelings", "multipliers"]
"""Exact relabelings of exchangeable events, or a multiplier bootstrap of each side's masses."""

FEWEST_EFFECTIVE = 30.0
"""Effective events (or groups) below which multipliers are not trusted."""
LARGEST_SHARE = 0.15
"""Share of one event (or group) above which they are not."""

_FEWEST = 2
_KINDS = ("none", "positive", "signed")
_SIDES = ("reference", "generated")
_FREEDOM = 2.5
_LEAST = 0.01  # of a variance that one unit may leave: where it is all, nothing is left

Labels = BoolArray
"""Relabelings ``(R, N)`` of the pooled events: true for the first sample."""


@dataclass(frozen=True, slots=True, eq=False)
class MassRows:
    r"""Pairs of distributions on the pooled events, each a row that sums to one.

    Attributes
    ----------
    first, second
        Masses a and b of every event ``(R, N)``, of either sign.
    base
        Signed masses of the samples as they are ``(N,)``: of the first sample, less
        those of the second.
    """

    first: Array
    second: Array
    base: Array

    @property
    def signed(self) -> Array:
        """Differences a - b ``(R, N)``, rows that sum to zero."""
        return np.asarray(self.first - self.second)


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
    key
        Content key of the pooled events, who they belong to, and who belongs together; of
        thinned events that of the whole.
    variations
        Relative changes of the weights of the second sample's events ``(n_2, k)``, by one standard
        deviation in each of k independent directions; None for weights that are known.
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
    key: str = ""
    variations: Array | None = None

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
        what = "groups" if self.grouped else "events"
        for name, n, share in zip(_SIDES, self.n_effective, self.largest_share, strict=True):
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

    def relabeled(self, seeds: Seeds, first: int, count: int, *, observed: bool = False) -> Labels:
        """Return relabelings number `first` and following ``(count, N)``, one stream each.

        Whole units change sides; each side keeps its number of units.  If they shall be, the
        true labels come before them, in one array: it may be large.
        """
        units = compact(self.units)
        last = units_of_first(units, self.sizes[0])
        return relabel(units, last, seeds, first, count, observed=observed)

    def observed_masses(self) -> MassRows:
        """Return the samples' masses as rows of one."""
        first, second = self.masses
        a, b = np.pad(first, (0, second.size)), np.pad(second, (first.size, 0))
        return MassRows(a[None], b[None], a - b)

    def multiplied(self, seeds: Seeds, first: int, count: int) -> MassRows:
        r"""Return mass rows number `first` and following, one stream each.

        .. math:: a^* = p + \delta^*_1, \qquad b^* = p + \delta^*_2

        with the pooled masses p, and the fluctuations of each sample by itself of
        :func:`~verisimile.samples.pool.multiplier_draws`, stretched as
        :func:`~verisimile.samples.pool.stretched_signs` says.  A pool that was thinned has the
        signs of the whole.  Weights with variations R ``(n_2, k)`` fluctuate by
        :math:`b_j (R z)_j`, z standard normal, too.
        """
        ours, theirs = self.masses
        freedom = variance_freedom(np.concatenate([ours, -theirs]), self.units)
        drawn = stretched_signs(seeds, range(first, first + count), self.n_units, freedom)
        split, centre = self.sizes[0], self.centre
        a, b = np.tile(centre, (count, 1)), np.tile(centre, (count, 1))
        a[:, :split] += multiplier_draws(ours, self.units[:split], drawn)
        b[:, split:] += multiplier_draws(theirs, self.units[split:], drawn)
        if self.variations is not None:
            rngs = [seeds.at("vary", k).numpy() for k in range(first, first + count)]
            z = np.array([rng.standard_normal(self.variations.shape[1]) for rng in rngs])
            changed = z @ self.variations.T
            b[:, split:] += (changed - (changed @ theirs)[:, None]) * theirs
        return MassRows(a, b, np.concatenate([ours, -theirs]))

    def thinned(self, most: int, rng: np.random.Generator) -> Pool:
        """Return at most so many events: random ones of each sample, which keeps relabelings exact.

        Thinning is what a statistic with `thinned_to` asks for.  The smaller sample stays
        whole as long as it is no more than half of them.
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
            for part, name in zip(np.split(self.weights[rows], [sizes[0]]), _SIDES, strict=True)
        ]
        n_effective, largest_share = _worth(weights, self.units[rows])
        return replace(
            self,
            x=frozen(self.x[rows]),
            weights=frozen(np.concatenate(weights)),
            sizes=sizes,
            n_effective=n_effective,
            largest_share=largest_share,
            units=_fixed(self.units[rows]),
            rows=_fixed(rows),
            angles=tuple(angle.take(rows) for angle in self.angles),
            variations=None if self.variations is None else frozen(self.variations[kept[1]]),
        )


def pool_samples(
    first: Events,
    second: Events,
    coordinates: Coordinates,
    *,
    exchangeable_weights: bool = False,
    variations: Array | None = None,
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
    variations
        Relative changes of the second sample's weights, as :class:`Pool` has them: weights that
        were estimated are not known.

    Raises
    ------
    InputError
        If the features differ, a sample has fewer than two events or weights
        without a positive sum, or no feature has more than one value.
    """
    second = match_features(second, first.features)
    for events, side in ((first, "reference"), (second, "generated")):
        require(
            events.n >= _FEWEST,
            f"{side} sample",
            got=f"{events.n} event",
            expected="two events or more",
            remedy="Check the selection: a test needs a spread within each sample.",
        )
    x = in_turns(np.concatenate([first.x, second.x]), first.features)
    kept = varying(x)
    require(
        kept.any(),
        "samples",
        got=f"one and the same value of every feature {first.names}",
        expected="a feature that varies",
        remedy="Check the columns that were read.",
    )
    around = circles(x[:, kept], periodic(first.features)[kept])
    weights = [_unit(first, "reference sample"), _unit(second, "generated sample")]
    alone = np.arange(first.n + second.n)
    groups = stacked_groups((first.group, second.group), (first.n, second.n))
    units = alone if groups is None else groups
    n_effective, largest_share = _worth(weights, units)
    plain, known = all(bool((w == 1.0).all()) for w in weights), variations is None
    pool = Pool(
        x=frozen(coordinates.of(around.x, *([around.blocks] if around.angles else []))),
        weights=frozen(np.concatenate(weights)),
        sizes=(first.n, second.n),
        n_effective=n_effective,
        largest_share=largest_share,
        kind=max(_kind(first), _kind(second), key=_KINDS.index),
        null="relabelings" if known and (plain or exchangeable_weights) else "multipliers",
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
        variations=_checked(variations, second.n),
    )
    return replace(pool, warnings=(*pool.warnings, *_small(pool)), key=_key(pool))


def _key(pool: Pool) -> str:
    alone = pool.n_units == pool.units.size
    more: list[Array | IntArray] = [] if alone else [pool.units]
    more += [np.array(angle.columns) for angle in pool.angles]
    more += [] if pool.variations is None else [pool.variations]
    return digest(pool.x, pool.weights, np.array(pool.sizes), *more)


def _checked(variations: Array | None, n: int) -> Array | None:
    if variations is None:
        return None
    found = np.array(variations, dtype=np.float64)
    require(
        found.ndim == 2 and len(found) == n and bool(np.isfinite(found).all()),
        "variations",
        got=f"an array of shape {found.shape}, {int((~np.isfinite(found)).sum())} not finite",
        expected=f"finite numbers ({n}, k), a row for each generated event",
    )
    return frozen(found)


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


def _worth(
    weights: Sequence[Array], units: IntArray
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the effective number of units, and the largest share of one, of both samples."""
    sizes, largest = [], []
    for w, own in zip(weights, np.split(units, [weights[0].size]), strict=True):
        codes = compact(own)
        share = unit_masses(w / w.sum(), codes, int(codes.max()) + 1)
        sizes.append(float(1.0 / (share**2).sum()))
        largest.append(float(np.abs(share).max()))
    return (sizes[0], sizes[1]), (largest[0], largest[1])


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
        f"{shared.count} of {second.n} events of the generated sample occur in the reference: "
        "samples that share events look more alike than they are"
    ]


def _small(pool: Pool) -> list[str]:
    if pool.kind == "none":
        return []
    return [
        f"the {name} sample is worth {n:.1f} unweighted events only"
        for name, n in zip(_SIDES, pool.n_effective, strict=True)
        if n < FEWEST_EFFECTIVE
    ]


def relabel(
    units: IntArray,
    first_units: int,
    seeds: Seeds,
    start: int,
    count: int,
    *,
    observed: bool = False,
) -> Labels:
    """Return relabelings number `start` and following ``(count, N)``, one stream of `seeds` each.

    Whole units change sides, `first_units` of them on the first at any time; `units` ``(N,)``
    has no gaps: codes of groups, or every event's own.  `observed` puts the true labels first.
    """
    sides = np.empty((count + observed, int(units.max()) + 1), dtype=np.bool_)
    if observed:
        sides[0] = np.arange(sides.shape[1]) < first_units
    for row, side in enumerate(sides[int(observed) :]):
        choose(side, first_units, seeds.at(start + row).numpy())
    # Where every event stands alone its unit is its place.
    return sides if sides.shape[1] == units.size else sides[:, units]


def units_of_first(units: IntArray, n: int) -> int:
    """Return how many units the first `n` events have, in codes by first appearance ``(N,)``."""
    return int(units[:n].max()) + 1


def multiplier_draws(masses: Array, units: IntArray, multipliers: Array) -> Array:
    r"""Return the fluctuations of one sample's masses ``(R, n)``, rows that sum to zero.

    .. math:: \delta^*_i = a_i \Big(\xi_{g(i)} c_{g(i)} - \sum_j \xi_{g(j)} c_{g(j)} a_j\Big)

    with one multiplier of mean zero and variance one for each unit, so that
    :math:`\sum_i \delta^*_i h_i` has the variance of the weighted mean
    :math:`\sum_i a_i h_i` for every h; c makes good that residuals of heavy events are
    smaller than deviations, see :func:`leverages`.  Masses a ``(n,)`` have the sum one, and
    multipliers are :math:`\xi` ``(R, G)``.
    """
    scaled = (multipliers * leverages(masses, units, multipliers.shape[1]))[:, units]
    return np.asarray((scaled - (scaled @ masses)[:, None]) * masses)


def variance_freedom(signed: Array, units: IntArray) -> float:
    r"""Return the degrees of freedom of a variance that is estimated from these masses.

    .. math:: \nu = \tfrac52 \Big(\sum_g v_g^2\Big)^2 \Big/ \sum_g v_g^4

    for masses v of the first less the second sample ``(n,)``, summed over units, and a function of
    the events whose ranks are uniform: their squares have 4/5 of their squared mean as variance.

    References
    ----------
    B. L. Welch, Biometrika 34 (1947) 28 (degrees of freedom of an estimated variance).
    """
    squares = np.bincount(units, weights=signed) ** 2
    return float(_FREEDOM * squares.sum() ** 2 / (squares @ squares))


def stretched_signs(seeds: Seeds, rows: Sequence[int], count: int, freedom: float) -> Array:
    r"""Return rows of random signs ``(R, count)``, each times :math:`\sqrt{\nu / \chi^2_\nu}`.

    Squares of signs do not vary, so that diagonals of kernels do not.  The variance that
    they give is an estimate, and of few heavy events if weights vary: most samples lack the
    heaviest, and have too small a variance.  Stretched, draws are those of Student's law.
    """
    drawn = np.empty((len(rows), count))
    for k, row in enumerate(rows):
        rng = seeds.at(row).numpy()
        drawn[k] = 2.0 * rng.integers(0, 2, size=count).astype(np.float64) - 1.0
        drawn[k] *= np.sqrt(freedom / rng.chisquare(freedom))
    return drawn


def unit_masses(masses: Array, units: IntArray, count: int) -> Array:
    """Return the sum of the masses of each unit ``(G,)``."""
    return np.asarray(np.bincount(units, weights=masses, minlength=count), dtype=np.float64)


def leverages(masses: Array, units: IntArray, count: int) -> Array:
    r"""Return :math:`c_g = (1 - 2 A_g + \sum_h A_h^2)^{-1/2}` of each unit ``(G,)``.

    The residual of a unit with the mass A about the weighted mean of equally
    distributed units has :math:`1 - 2 A + \sum A^2` of their variance.
    """
    share = unit_masses(masses, units, count)
    kept = 1.0 - 2.0 * share + (share**2).sum()
    return np.asarray(1.0 / np.sqrt(np.maximum(kept, _LEAST)))
