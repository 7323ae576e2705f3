"""What both samples of a null pair are drawn from: a mixture, real events, counts with tails."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from verisimile.core.arrays import Array, digest, frozen
from verisimile.core.canonical import JSON
from verisimile.core.errors import require
from verisimile.core.random import Seeds
from verisimile.data.example import load_example
from verisimile.data.inputs import EventsLike
from verisimile.samples.columns import comparable

_LOOKED_AT = 20_000  # events from which scales and quantiles of a law are taken, once
_LEAST = 1e-12


@dataclass(frozen=True, slots=True)
class Law:
    """A distribution of events, from which both samples of a null pair are drawn.

    Attributes
    ----------
    name
        How tables call it.
    draw
        ``draw(n, rng)`` returns n independent events ``(n, d)``, or other rows of a file; a
        function of a module, or an object whose ``repr`` or ``key`` says everything.
    column, partner
        A continuous column, in which defects of one feature are planted, and one that depends
        on it.
    continuous
        Columns that may be smeared.
    about
        What it is, in a sentence.
    """

    name: str
    draw: Callable[[int, np.random.Generator], Array]
    column: int = 0
    partner: int = 1
    continuous: tuple[int, ...] = (0, 1)
    about: str = ""

    def identity(self) -> JSON:
        """Return what tells it from other laws, for fingerprints of kept answers."""
        places = [self.column, self.partner, *self.continuous]
        return [self.name, identity_of(self.draw), places]


@dataclass(frozen=True, slots=True, eq=False)
class Scales:
    """Centres and widths of a law's columns ``(d,)``, and the events ``(n, d)`` behind them."""

    centre: Array
    width: Array
    events: Array

    def quantile(self, column: int, share: float) -> float:
        """Return the quantile of a column."""
        return float(np.quantile(self.events[:, column], share))


@lru_cache(maxsize=64)
def scales_of(law: Law) -> Scales:
    """Return the scales of a law: medians, and half the distance of the central 68 %.

    They belong to the law and not to a pair: the same defect is planted in every pair.
    """
    x = law.draw(_LOOKED_AT, Seeds(0).at("scales", law.name).numpy())
    low, centre, high = np.quantile(x, (0.158655, 0.5, 0.841345), axis=0)
    width = np.maximum(0.5 * (high - low), _LEAST)
    return Scales(frozen(centre), frozen(width), frozen(x))


def identity_of(function: object) -> str:
    """Return what tells a function from others: its own key, or its name and its source."""
    key = getattr(function, "key", None)
    if isinstance(key, str):
        return key
    if not inspect.isroutine(function):
        return repr(function)
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        source = ""
    name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '')}"
    return f"{name}:{hashlib.sha256(source.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True, eq=False)
class RowsOf:
    """Draws of rows of a sample, without repetition: disjoint pairs are independent samples."""

    x: Array
    key: str

    def __call__(self, n: int, rng: np.random.Generator) -> Array:
        """Return n different rows, as many as there are if these are fewer and all are wanted."""
        return self.x[rng.permutation(len(self.x))[:n]]


def events_law(name: str, events: EventsLike, *, column: str = "", partner: str = "") -> Law:
    """Return the law of real events: pairs are disjoint random rows of them.

    Parameters
    ----------
    name
        How tables call it.
    events
        At least five times as many as the largest size of the suite; without weights.
    column, partner
        Continuous features for defects; the first two if nothing is said.
    """
    (sample,) = comparable(events=events)
    require(
        sample.weights is None and sample.d > 1,
        "events",
        got="events with weights" if sample.weights is not None else "one feature",
        expected="unweighted events of two features or more",
    )
    places = [sample.names.index(one) if one else k for k, one in enumerate((column, partner))]
    repeats = [k for k in range(sample.d) if len(np.unique(sample.x[:, k])) > 0.5 * sample.n]
    return Law(
        name,
        RowsOf(sample.x, digest(sample.x)),
        column=places[0],
        partner=places[1],
        continuous=tuple(repeats) or tuple(places),
        about=f"{sample.n} events of {', '.join(sample.names)}",
    )


_MEANS = ((0.0, 0.0, 0.0, 0.0, 0.0), (3.0, 1.0, 0.0, -1.0, 0.5), (-2.0, 2.5, 1.0, 0.5, -1.0))
_SHARES = (0.5, 0.3, 0.2)
_CORRELATED = 0.6
_SOFTEST, _STEEP = 15.0, 3.0
_JETS, _HARD, _INDEX = 1.2, 25.0, 2.5


def mixture(n: int, rng: np.random.Generator) -> Array:
    """Return draws of three normal components in five dimensions, correlated by 0.6."""
    means = np.array(_MEANS)
    d = means.shape[1]
    covariance = np.full((d, d), _CORRELATED) + (1.0 - _CORRELATED) * np.eye(d)
    noise = rng.standard_normal((n, d)) @ np.linalg.cholesky(covariance).T
    return np.asarray(means[rng.choice(len(_SHARES), size=n, p=_SHARES)] + noise)


def counts(n: int, rng: np.random.Generator) -> Array:
    """Return events like W + jets: a recoil with a heavy tail, an angle, zeros, counts, signs.

    Columns: transverse momentum (a power law with a variance and no skewness), transverse mass
    that follows it, number of jets, their sum of momenta (exactly zero without jets), charge.
    """
    momentum = _SOFTEST * (1.0 - rng.random(n)) ** (-1.0 / _STEEP)
    mass = momentum * np.sqrt(2.0 - 2.0 * np.cos(rng.uniform(0.2, np.pi, size=n)))
    jets = rng.poisson(_JETS, size=n)
    hardness = _HARD * jets * (1.0 - rng.random(n)) ** (-1.0 / _INDEX)
    charge = np.where(rng.random(n) < 0.57, 1.0, -1.0)
    return np.column_stack([momentum, mass, jets, hardness, charge])


@cache
def _example(name: str) -> Array:
    return load_example()[name].x


def zmumu(n: int, rng: np.random.Generator) -> Array:
    """Return rows of the embedded Z → μμ events."""
    rows = _example("truth")
    return rows[rng.choice(len(rows), size=n, replace=False)]


def zmumu_tune(n: int, rng: np.random.Generator) -> Array:
    """Return rows of the embedded events of another tune of the generator."""
    rows = _example("generator_tune")
    return rows[rng.choice(len(rows), size=n, replace=False)]


MIXTURE = Law(
    "mixture",
    mixture,
    continuous=(0, 1, 2, 3, 4),
    about="three normal components in five dimensions",
)
ZMUMU = Law(
    "zmumu",
    zmumu,
    column=1,
    partner=0,
    continuous=(0, 1, 2, 3),
    about="simulated Z → μμ events: mass, transverse momentum, rapidity, angle",
)
COUNTS = Law(
    "counts",
    counts,
    about="events like W + jets: heavy tails, counts, exact zeros, signs",
)
