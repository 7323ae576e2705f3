"""Analytic members for tests: normalised densities whose truth lies in their span."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array
from verisimile.mixture.sampling import member_log_densities


@dataclass(frozen=True)
class Blend:
    """A mixture of axis-aligned Gaussians with equal or given shares."""

    means: Array  # (J, d)
    sigmas: Array  # (J, d)
    shares: Array  # (J,)

    @property
    def n_features(self) -> int:
        return int(self.means.shape[1])

    def log_prob(self, x: Array) -> Array:
        scale = np.log((2 * np.pi) ** (0.5 * self.n_features) * self.sigmas.prod(axis=1))
        columns = np.ascontiguousarray(x.T)
        log = np.empty((self.shares.size, x.shape[0]))
        for j, constant in enumerate(np.log(self.shares) - scale):
            log[j] = constant
            for column, mean, sigma in zip(columns, self.means[j], self.sigmas[j], strict=True):
                z = (column - mean) / sigma
                log[j] -= 0.5 * z * z
        top = log.max(axis=0)
        below = log - np.where(np.isneginf(top), 0.0, top)
        # Below -700 the exponential underflows, which is slow and changes nothing.
        return np.asarray(top + np.log(np.exp(np.maximum(below, -700.0)).sum(axis=0)))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        part = rng.choice(self.shares.size, size=n, p=self.shares)
        return np.asarray(rng.normal(self.means[part], self.sigmas[part]))


def family(
    members: int,
    *,
    features: int = 2,
    spread: float = 0.3,
    satellite: float = 0.74,
    seed: int = 1,
) -> list[Blend]:
    """Return members that share a core and differ by one satellite of about that width each."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(members):
        means = np.vstack([np.zeros(features), rng.normal(0.0, 1.0, features)])
        sizes = satellite * np.exp(rng.normal(0.0, 0.2, features))
        sigmas = np.vstack([np.ones(features), sizes])
        out.append(Blend(means, sigmas, np.array([1.0 - spread, spread])))
    return out


def near_copies(members: int, *, jitter: float = 0.01, seed: int = 2) -> list[Blend]:
    """Return Gaussians that differ by one per cent in position and width."""
    rng = np.random.default_rng(seed)
    return [
        Blend(
            jitter * rng.standard_normal((1, 2)),
            np.exp(jitter * rng.standard_normal((1, 2))),
            np.ones(1),
        )
        for _ in range(members)
    ]


def log_densities(members: list[Blend], x: Array) -> Array:
    return member_log_densities(members, x)


def draw(members: list[Blend], weights: Array, n: int, rng: np.random.Generator) -> Array:
    """Return events ``(n, d)`` of the mixture with non-negative `weights`, in random order."""
    counts = rng.multinomial(n, weights)
    parts = [m.sample(int(k), rng) for m, k in zip(members, counts, strict=True) if k]
    return np.asarray(np.concatenate(parts)[rng.permutation(n)])
