"""Pairs of samples of one law: how many events, of what kind, with which weights and rows."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

import verisimile as vs
from verisimile.core.arrays import Array, IntArray
from verisimile.core.random import Seeds
from verisimile.data.example import load_example
from verisimile.data.feature import Feature

EVENTS = "VERISIMILE_GAUNTLET_EVENTS"
"""Environment variable that names a file of events to draw samples from."""

_ROWS = 3  # of each event, where rows belong together
_FEW, _EFFECTIVE, _WIDE = 100, 50.0, 6


@dataclass(frozen=True)
class Pair:
    """A null setting of two samples.

    Attributes
    ----------
    n
        Rows of either sample.
    d
        Features.
    kind
        ``normal``, ``cauchy``, ``lattice``, ``spike``, ``periodic``, ``mixed``, ``example``
        (the embedded events), or the path of a file.
    weights
        Of either sample: ``none``, ``flat``, ``narrow``, ``wide``, ``exponential``, ``signed``,
        ``few negative``, ``reweighted``.
    rows
        ``independent``, ``grouped`` (three of each event, and the samples say so) or
        ``repeated`` (each three times, without a word).
    """

    n: tuple[int, int] = (60, 300)
    d: int = 2
    kind: str = "normal"
    weights: tuple[str, str] = ("none", "none")
    rows: str = "independent"

    @property
    def label(self) -> str:
        """Sizes, and what differs from unweighted independent rows of two normal features."""
        kind = Path(self.kind).stem if os.sep in self.kind else self.kind
        words = [f"{self.n[0]} against {self.n[1]}", f"d = {self.d}", kind]
        if self.weights != ("none", "none"):
            words.append(f"weights {self.weights[0]} / {self.weights[1]}")
        if self.rows != "independent":
            words.append(self.rows)
        return ", ".join(words)

    @property
    def ordinary(self) -> bool:
        """Unweighted: 100 events or more of at most six features; weighted: worth fifty."""
        if self.rows != "independent":
            return False
        if self.weights == ("none", "none"):
            return min(self.n) >= _FEW and self.d <= _WIDE
        sides = zip(self.n, self.weights, strict=True)
        return self.d <= _WIDE and all(n * _WORTH[w] >= 1.2 * _EFFECTIVE for n, w in sides)

    @property
    def middle(self) -> float:
        """A place inside the first feature, known before any event is drawn."""
        return 0.3 if self.kind in _KINDS else float(np.median(_kept(self.kind).x[:1000, 0]))

    def draw(self, seeds: Seeds) -> tuple[vs.Events, vs.Events]:
        """Return the samples; the densities of the weighted events agree."""
        rngs = (seeds.at(side).numpy() for side in ("first", "second"))
        sides = zip(self.n, self.weights, rngs, self._sources(seeds), strict=True)
        first, second = (self._sample(*side) for side in sides)
        return first, second

    def _sources(self, seeds: Seeds) -> tuple[_Source, _Source]:
        if self.kind not in _KINDS:  # events of a file: no event may be in both samples
            rows = seeds.at("rows").numpy().permutation(_kept(self.kind).n)
            half = rows.size // 2
            return _Taken(self.kind, rows[:half]), _Taken(self.kind, rows[half:])
        return _Drawn(self.kind, self.d), _Drawn(self.kind, self.d)

    def _sample(self, n: int, weights: str, rng: np.random.Generator, source: _Source) -> vs.Events:
        each = 1 if self.rows == "independent" else _ROWS
        count = math.ceil(n / each)
        x, w = _weighted(source, count, weights, rng)
        group = np.repeat(np.arange(count), each)[:n]
        x, w = x[group], None if w is None else w[group]
        if self.rows != "grouped":
            return vs.Events(x, w, features=source.features)
        x = x + 0.1 * rng.normal(size=x.shape)  # rows of an event are alike, not equal
        build: Callable[..., vs.Events] = vs.Events
        return build(x, w, features=source.features, group=group)


# Effective events per event.
_WORTH = {
    "none": 1.0,
    "flat": 1.0,
    "narrow": math.exp(-(0.3**2)),
    "wide": math.exp(-1.0),
    "wider": math.exp(-(1.3**2)),
    "exponential": 0.5,
    "signed": 0.25,
    "few negative": 0.49,
    "reweighted": 0.55,
}


def _weighted(
    source: _Source, n: int, kind: str, rng: np.random.Generator
) -> tuple[Array, Array | None]:
    if kind == "reweighted":
        return _reweighted(source, n, rng)
    x = source(n, rng)
    match kind:
        case "none":
            return x, None
        case "flat":
            return x, rng.uniform(0.9, 1.1, n)
        case "exponential":
            return x, rng.exponential(size=n)
        case "signed" | "few negative":
            share = 0.25 if kind == "signed" else 0.15
            return x, np.where(rng.random(n) < share, -1.0, 1.0)
    return x, np.exp({"narrow": 0.3, "wide": 1.0, "wider": 1.3}[kind] * rng.normal(size=n))


def _reweighted(source: _Source, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return events that were kept with probability a(x), with weights 1/a(x)."""
    parts: list[Array] = []
    while sum(len(part) for part in parts) < n:
        x = source(2 * n, rng)
        parts.append(x[rng.random(len(x)) < _kept_with(x)])
    x = np.concatenate(parts)[:n]
    return x, 1.0 / _kept_with(x)


def _kept_with(x: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.asarray(0.1 + 0.9 / (1.0 + np.exp(-2.0 * np.clip(x[:, 0], -50.0, 50.0))))


class _Source:
    """Draws events of one law; says what the columns are."""

    features: tuple[Feature, ...]

    def __call__(self, n: int, rng: np.random.Generator) -> Array:
        raise NotImplementedError


class _Drawn(_Source):
    def __init__(self, kind: str, d: int) -> None:
        self.columns = [_KINDS[kind][j % len(_KINDS[kind])] for j in range(d)]
        self.features = tuple(_feature(f"x{j}", column) for j, column in enumerate(self.columns))

    def __call__(self, n: int, rng: np.random.Generator) -> Array:
        # A common factor correlates all features.
        z = 0.4 * rng.normal(size=(n, 1)) + 0.9165 * rng.normal(size=(n, len(self.columns)))
        return np.column_stack([_COLUMNS[c](z[:, j], rng) for j, c in enumerate(self.columns)])


def _feature(name: str, column: str) -> Feature:
    if column == "angle":
        return Feature(name, kind="periodic", low=-math.pi, high=math.pi)
    if column == "spike":
        return Feature(name, kind="spike-at-zero", low=0.0)
    return Feature(name)


_COLUMNS: dict[str, Callable[[Array, np.random.Generator], Array]] = {
    "normal": lambda z, _: z,
    "cauchy": lambda z, rng: z / np.abs(rng.normal(size=z.size)),
    "lattice": lambda z, _: np.rint(2.0 * z) / 2.0,
    "spike": lambda z, _: np.where(z > 0.3, np.exp(z), 0.0),
    "angle": lambda z, _: np.remainder(2.0 * z + 4.0, 2.0 * math.pi) - math.pi,
    "exponential": lambda z, _: np.exp(z),
}
_KINDS = {
    "normal": ("normal",),
    "cauchy": ("cauchy",),
    "lattice": ("lattice",),
    "spike": ("spike",),
    "periodic": ("angle", "normal"),
    "mixed": ("normal", "lattice", "spike", "angle", "cauchy", "exponential"),
}


class _Taken(_Source):
    def __init__(self, kind: str, rows: IntArray) -> None:
        self.kind, self.rows = kind, rows
        self.features = _kept(kind).features

    def __call__(self, n: int, rng: np.random.Generator) -> Array:
        return np.asarray(_kept(self.kind).x[rng.choice(self.rows, n, replace=False)])


@cache
def _kept(kind: str) -> vs.Events:
    """Return the embedded events, or those of a file, centred for the weights' sake."""
    events = load_example()["truth"] if kind == "example" else vs.read_events(kind)
    names = [n for n in events.names if np.ptp(events.column(n)) > 0.0][:_WIDE]
    chosen = events.select(names)
    return vs.Events(chosen.x, features=chosen.features)


_SMALL, _EQUAL, _LARGE = (60, 300), (300, 300), (200, 20_000)
_CENTRES = (Pair(_SMALL), Pair(_EQUAL))
_KIND_NAMES = ("cauchy", "lattice", "spike", "periodic")

# The eight cases of unlike weights, the larger sample first.
_UNLIKE = tuple(
    Pair((n, m), weights=(a, b))
    for n, m, a, b in (
        (300, 60, "none", "signed"),
        (300, 60, "none", "wide"),
        (300, 60, "narrow", "wider"),
        (300, 60, "exponential", "reweighted"),
        (1500, 300, "flat", "few negative"),
        (300, 60, "wide", "wide"),
        (300, 300, "signed", "signed"),
        (1500, 300, "none", "signed"),
    )
)
_ONE_AT_A_TIME = (
    *(Pair(n, d=d) for n in (_SMALL, _EQUAL) for d in (1, 6, 20)),
    *(Pair(_SMALL, kind=kind) for kind in _KIND_NAMES),
    Pair(_SMALL, d=6, kind="mixed"),
    Pair(_EQUAL, d=6, kind="mixed"),
    Pair(_EQUAL, d=4, kind="example"),
    Pair(_LARGE),
    *(
        Pair(_SMALL, weights=weights)
        for weights in (("wide", "none"), ("signed", "none"), ("reweighted", "none"))
    ),
    *(Pair(n, rows="grouped") for n in ((120, 900), (300, 300))),
    Pair(_EQUAL, rows="repeated"),
)
_TOGETHER = (
    Pair(_EQUAL, kind="lattice", weights=("none", "signed")),
    Pair(_EQUAL, kind="cauchy", weights=("wide", "none")),
    Pair(_EQUAL, kind="spike", weights=("none", "reweighted")),
    Pair(_EQUAL, d=6, kind="mixed", weights=("wide", "reweighted")),
    Pair(_EQUAL, d=6, weights=("none", "few negative")),
    Pair((300, 900), d=6, rows="grouped"),
    Pair((900, 300), weights=("none", "few negative"), rows="grouped"),
    Pair((1000, 300), d=4, kind="example", weights=("none", "few negative")),
    Pair(_LARGE, d=6, kind="mixed"),
    Pair((20_000, 400), weights=("none", "few negative")),
    Pair((25, 25), d=2),
    Pair((120, 120), d=6),
)
PAIRS = (*_CENTRES, *_ONE_AT_A_TIME, *_UNLIKE, *_TOGETHER)
"""The designed subset of the full product."""

CORE = (
    Pair(_SMALL),
    Pair(_EQUAL),
    Pair(_SMALL, d=20),
    Pair(_EQUAL, d=6, kind="mixed"),
    Pair((1500, 300), weights=("exponential", "wide")),
    Pair((300, 900), rows="grouped"),
)
"""For subjects whose pseudo-experiments are dear."""

WEIGHTED = tuple(pair for pair in _UNLIKE if pair.weights[0] != pair.weights[1])


def file_pairs() -> tuple[Pair, ...]:
    """Return the settings of the file of events that the environment names, if any."""
    path = os.environ.get(EVENTS, "")
    if not path:
        return ()
    features = min(_WIDE, _kept(path).d)
    base = Pair(_EQUAL, d=features, kind=str(Path(path).resolve()))
    return (base, replace(base, n=(2000, 300)), replace(base, weights=("none", "few negative")))
