"""A basis whose span contains a Gaussian truth exactly, for studies of coverage."""

from __future__ import annotations

import numpy as np

from analytic import Blend, log_densities
from verisimile.data.truths import GaussianTruth
from verisimile.mixture.fit import Pseudo, fit_weights
from verisimile.mixture.model import Mixture

PAPER = GaussianTruth.paper()


def spanning_members(count: int, *, mixing: float = 0.3, seed: int = 5) -> list[Blend]:
    """Return blends of the truth and `count` - 1 satellites, each with shares of its own.

    The shares form an invertible matrix, so that the truth is a combination of
    the members with signed weights, large ones if the `mixing` is strong.
    Satellites are narrower than the truth: positivity does not bound the
    weights near it.
    """
    rng = np.random.default_rng(seed)
    mu, sigma = np.array(PAPER.mu), np.array(PAPER.sigma)
    means = np.vstack([mu, mu + sigma * rng.uniform(-1.0, 1.0, (count - 1, 2))])
    sigmas = np.vstack([sigma, sigma * rng.uniform(0.5, 0.9, (count - 1, 2))])
    drawn = rng.dirichlet(np.full(count, 0.3), size=count)
    shares = mixing * drawn + (1.0 - mixing) * np.eye(count)
    return [Blend(means, sigmas, row) for row in shares]


def spanning_mixture(members: list[Blend], events: int, *, seed: int = 1) -> Mixture:
    """Return the members with weights fitted to `events` of the truth, with pseudo-events."""
    rng = np.random.default_rng(seed)
    x = PAPER.sample(events, rng)
    z = np.concatenate([member.sample(100, rng) for member in members])
    pseudo = Pseudo(log_densities(members, z))
    return Mixture(members, fit_weights(log_densities(members, x), pseudo=pseudo))
