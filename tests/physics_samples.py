"""Samples of one law with weights of every kind, for the comparisons of truth and generated."""

from __future__ import annotations

import numpy as np

from verisimile.data.events import Events
from verisimile.data.feature import Feature

KINDS = ("none", "gamma", "steep", "signed")
FEATURES = (Feature("a"), Feature("b"))


def draw(rng: np.random.Generator, n: int, kind: str = "none", *, shift: float = 0.0) -> Events:
    """Return two correlated normal features; `kind` says how the weights fall.

    ``gamma``: independent of the features; ``steep``: over a factor of e^8 with the
    first; ``signed``: 15 % are -1.  The law of the weighted events depends on the kind.
    """
    x = rng.normal(size=(n, 2))
    x[:, 1] = 0.6 * x[:, 0] + 0.8 * x[:, 1] + shift
    weights = {
        "none": None,
        "gamma": rng.gamma(1.0, 3.0, n),
        "steep": np.exp(1.0 * x[:, 0]),
        "signed": np.where(rng.random(n) < 0.15, -1.0, 1.0),
    }[kind]
    return Events(x, weights, features=FEATURES)
