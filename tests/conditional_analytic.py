"""Analytic conditional members for tests: normalised for every context, truth in their span."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from verisimile.core.arrays import Array
from verisimile.data.events import Events


@dataclass(frozen=True)
class ConditionalBlend:
    """x | c ~ (1 - share) N(slope c, exp(growth c)) + share N(place + drift c, width)."""

    slope: float = 0.8
    growth: float = 0.3
    share: float = 0.0
    place: float = 0.0
    drift: float = 0.0
    width: float = 1.0

    n_features = 1
    n_context = 1

    def log_prob(self, x: Array, context: Array) -> Array:
        values, c = x[:, 0], context[:, 0]
        with np.errstate(divide="ignore"):
            core = np.log1p(-self.share) + stats.norm.logpdf(
                values, self.slope * c, np.exp(self.growth * c)
            )
            satellite = np.log(self.share) + stats.norm.logpdf(
                values, self.place + self.drift * c, self.width
            )
        return np.asarray(np.logaddexp(core, satellite))

    def sample(self, context: Array, rng: np.random.Generator) -> Array:
        c = context[:, 0]
        normal = rng.standard_normal(len(c))
        core = self.slope * c + np.exp(self.growth * c) * normal
        satellite = self.place + self.drift * c + self.width * normal
        return np.asarray(np.where(rng.random(len(c)) < self.share, satellite, core)[:, None])

    def cdf(self, x: Array, c: float) -> Array:
        """Return the distribution function at one context."""
        core = stats.norm.cdf(x, self.slope * c, np.exp(self.growth * c))
        satellite = stats.norm.cdf(x, self.place + self.drift * c, self.width)
        return np.asarray((1 - self.share) * core + self.share * satellite)


def conditional_family(
    members: int, *, share: float = 0.4, seed: int = 1
) -> list[ConditionalBlend]:
    """Return members that share a core and differ by one satellite each, moving with c."""
    rng = np.random.default_rng(seed)
    return [
        ConditionalBlend(
            share=share,
            place=float(rng.normal(0.0, 1.5)),
            drift=float(rng.normal(0.5, 0.3)),
            width=float(0.6 * np.exp(rng.normal(0.0, 0.2))),
        )
        for _ in range(members)
    ]


def draw_at(
    members: Sequence[ConditionalBlend], weights: Array, context: Array, rng: np.random.Generator
) -> Array:
    """Return one event ``(n, 1)`` of the mixture with non-negative `weights` per context."""
    which = rng.choice(len(members), size=len(context), p=weights)
    x = np.empty((len(context), 1))
    for i, member in enumerate(members):
        x[which == i] = member.sample(context[which == i], rng)
    return x


def conditional_events(x: Array, context: Array) -> Events:
    """Return events with the default names of a conditional mixture."""
    return Events(np.hstack([x, context]), names=("x0", "c0"))
