"""A small histogram with variations, a signal and observed events."""

from __future__ import annotations

import numpy as np

from verisimile.core.arrays import Array, frozen
from verisimile.data.feature import Feature
from verisimile.mixture.templates import TemplateAxis, Templates, templates_of

EDGES = np.linspace(0.0, 6.0, 13)
SIGNAL = np.zeros(12)
SIGNAL[7:9] = 8.0, 12.0


def falling(*, statistical: float = 0.1) -> Templates:
    """Return a falling background with four correlated variations of 5 %."""
    rng = np.random.default_rng(1)
    nominal = 1000.0 * np.exp(-EDGES[:-1]) + 3.0
    shapes = rng.normal(size=(12, 4)) * 0.05 * nominal[:, None]
    axis = TemplateAxis(Feature("m", unit="GeV"), frozen(EDGES))
    return templates_of((axis,), nominal, shapes @ shapes.T, statistical * np.sqrt(nominal))


def observed(templates: Templates, mu: float, rng: np.random.Generator) -> Array:
    """Return counts of background, with its variations drawn, and signal."""
    z = rng.normal(size=len(templates.variations))
    noise = rng.normal(size=12) * templates.statistical
    expected = templates.nominal + z @ templates.variations + noise + mu * SIGNAL
    return np.asarray(rng.poisson(np.maximum(expected, 0.0)), dtype=np.float64)
