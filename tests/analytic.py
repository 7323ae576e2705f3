"""Analytic members for tests: normalised densities whose truth lies in their span."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array
from verisimile.mixture.sampling import member_log_densities

__all__ = ["Blend", "draw", "family", "log_densities", "near_copies"]


@dataclass(frozen=True)
class Blend:
    """A two-dimensional mixture of axis-aligned Gaussians with equal or given shares."""

    means: Array  # (J, 2)
    sigmas: Array  # (J, 2)
    shares: Array  # (J,)

    n_features = 2

    def log_prob(self, x: Array) -> Array:
        z = (x[:, None, :] - self.means) / self.sigmas
        log = -0.5 * (z * z).sum(axis=2) - np.log(2 * np.pi * self.sigmas.prod(axis=1))
        log += np.log(self.shares)
        # Several times faster than logaddexp.reduce.
        top = np.maximum(log.max(axis=1), -np.finfo(float).max)
        with np.errstate(divide="ignore"):
            return np.asarray(top + np.log(np.exp(log - top[:, None]).sum(axis=1)))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        part = rng.choice(self.shares.size, size=n, p=self.shares)
        return np.asarray(rng.normal(self.means[part], self.sigmas[part]))


def family(
    members: int, *, spread: float = 0.3, satellite: float = 0.74, seed: int = 1
) -> list[Blend]:
    """Return members that share a core and differ by one satellite of about that width each."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(members):
        means = np.vstack([[0.0, 0.0], rng.normal(0.0, 1.0, 2)])
        sigmas = np.vstack([[1.0, 1.0], satellite * np.exp(rng.normal(0.0, 0.2, 2))])
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
    """Return events ``(n, 2)`` of the mixture with non-negative `weights`, in random order."""
    counts = rng.multinomial(n, weights)
    parts = [m.sample(int(k), rng) for m, k in zip(members, counts, strict=True) if k]
    return np.asarray(np.concatenate(parts)[rng.permutation(n)])
