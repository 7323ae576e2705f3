"""Pairs of samples of one law whose weights are of different laws; for worker processes too."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from verisimile.core.arrays import Array
from verisimile.data.events import Events

Pair = Callable[[np.random.Generator], tuple[Events, Events]]


def _normal(rng: np.random.Generator, n: int, weights: Array | None = None) -> Events:
    return Events(rng.normal(size=(n, 2)), weights)


def signed_sample(rng: np.random.Generator, n: int, share: float) -> Events:
    """Return normal events, a share of which weighs -1."""
    return _normal(rng, n, np.where(rng.random(n) < share, -1.0, 1.0))


def lognormal(rng: np.random.Generator, n: int, width: float) -> Events:
    """Return normal events with weights exp(width z)."""
    return _normal(rng, n, np.exp(width * rng.normal(size=n)))


def reweighted(rng: np.random.Generator, n: int) -> Events:
    """Return events of Exp(0.6), reweighted to Exp(1)."""
    x = rng.exponential(1.0 / 0.6, size=(n, 1))
    return Events(x, np.exp(-0.4 * x[:, 0]))


def _uniform(rng: np.random.Generator, n: int) -> Events:
    return _normal(rng, n, rng.uniform(0.9, 1.1, size=n))


PAIRS: Mapping[str, Pair] = {
    "300 against 60 signed, 25 %": lambda r: (_normal(r, 300), signed_sample(r, 60, 0.25)),
    "300 against 240 signed, 25 %": lambda r: (_normal(r, 300), signed_sample(r, 240, 0.25)),
    "300 against 60 lognormal(1)": lambda r: (_normal(r, 300), lognormal(r, 60, 1.0)),
    "300 against 180 lognormal(1)": lambda r: (_normal(r, 300), lognormal(r, 180, 1.0)),
    "300 lognormal(.3) against 60 lognormal(1.3)": lambda r: (
        lognormal(r, 300, 0.3),
        lognormal(r, 60, 1.3),
    ),
    "300 lognormal(.3) against 360 lognormal(1.3)": lambda r: (
        lognormal(r, 300, 0.3),
        lognormal(r, 360, 1.3),
    ),
    "300 of Exp(1) against 60 of Exp(.6) reweighted": lambda r: (
        Events(r.exponential(size=(300, 1))),
        reweighted(r, 60),
    ),
    "1500 uniform(.9, 1.1) against 300 signed, 25 %": lambda r: (
        _uniform(r, 1500),
        signed_sample(r, 300, 0.25),
    ),
    "1500 against 300 signed, 15 %": lambda r: (_normal(r, 1500), signed_sample(r, 300, 0.15)),
    "100 uniform(.9, 1.1) against 60": lambda r: (_uniform(r, 100), _normal(r, 60)),
}
"""The settings in which relabelings with weights reject true nulls, and their larger kin."""
