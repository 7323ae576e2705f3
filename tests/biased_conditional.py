"""Conditional members that are all wrong in the same way: normal, where the truth has tails."""

from __future__ import annotations

import numpy as np
from scipy import stats

from conditional_analytic import ConditionalBlend, conditional_events
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.mixture.conditional import ConditionalMixture
from verisimile.mixture.discrepancy.conditional import (
    CorrectedConditionalMixture,
    correct_conditional_mixture,
)
from verisimile.mixture.discrepancy.fit import Discrepancy
from verisimile.mixture.fit import fit_weights
from verisimile.mixture.sampling import conditional_log_densities

SLOPE, GROWTH, FREEDOM = 0.8, 0.3, 5


def truth(n: int, rng: np.random.Generator) -> Events:
    """Return events x | c ~ 0.8 c + exp(0.3 c) t_5, with c uniform."""
    context = rng.uniform(-1.5, 1.5, (n, 1))
    x = SLOPE * context + np.exp(GROWTH * context) * rng.standard_t(FREEDOM, (n, 1))
    return conditional_events(x, context)


def quantiles(levels: Array, c: float) -> Array:
    """Return true quantiles of x at one context."""
    return np.asarray(SLOPE * c + np.exp(GROWTH * c) * stats.t.ppf(levels, FREEDOM))


def density(x: Array, c: float) -> Array:
    """Return the true density of x at one context."""
    scale = np.exp(GROWTH * c)
    return np.asarray(stats.t.pdf((x - SLOPE * c) / scale, FREEDOM) / scale)


def members(count: int, n_train: int, rng: np.random.Generator) -> list[ConditionalBlend]:
    """Return two normal laws each, fitted to bootstrap replicas, of widths that differ a little."""
    x, c = truth(n_train, rng).x.T
    found = []
    for _ in range(count):
        rows = rng.integers(n_train, size=n_train)
        slope = float(np.polyfit(c[rows], x[rows], 1)[0])
        rest = x[rows] - slope * c[rows]
        growth = float(np.polyfit(c[rows], np.log(np.abs(rest) + 1e-9), 1)[0])
        width = float(np.sqrt(np.mean((rest / np.exp(growth * c[rows])) ** 2)))
        width *= 1.2 * float(np.exp(rng.normal(0.0, 0.1)))
        found.append(ConditionalBlend(slope, growth, 0.3, place=0.0, drift=slope, width=width))
    return found


def fitted(parts: list[ConditionalBlend], events: Events) -> ConditionalMixture:
    """Return the mixture of given members with weights fitted to events."""
    fit = fit_weights(conditional_log_densities(parts, events.x[:, :1], events.x[:, 1:]))
    return ConditionalMixture(parts, fit)


def corrected(
    mixture: ConditionalMixture, events: Events, seed: int, settings: Discrepancy
) -> CorrectedConditionalMixture:
    """Return a mixture with the discrepancy of the events of its fit."""
    return correct_conditional_mixture(Run(Seeds(seed)), mixture, events, settings)
