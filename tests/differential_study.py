"""Generators on the camel whose distance from the truth is known, and studies of intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from verisimile.checks.amplification.quadratic import quadratic, quadratic_procedure
from verisimile.checks.amplification.result import Amplification
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events

LEVELS = (0.6826894921370859, 0.95)
GRID = np.linspace(-14.0, 14.0, 2801)
TRUTH = 0.5 * stats.norm.cdf(GRID + 4.0) + 0.5 * stats.norm.cdf(GRID - 4.0)
SPREAD = 2.0 * float(np.trapezoid(TRUTH * (1.0 - TRUTH), GRID))  # E|x - x'|


@dataclass(frozen=True)
class Generator:
    """One training: how it draws, and its distribution function on the grid."""

    draw: Callable[[int, np.random.Generator], Array]
    cdf: Array


def camel(n: int, rng: np.random.Generator) -> Array:
    return np.asarray(rng.choice([-4.0, 4.0], n) + rng.normal(size=n))


def events(x: Array) -> Events:
    return Events(x[:, None], names=("x",))


def independent(gain: float) -> Callable[[int, np.random.Generator], Generator]:
    """Return the training that draws from a true sample of `gain` times the events."""

    def train(n: int, rng: np.random.Generator) -> Generator:
        known = np.sort(camel(round(gain * n), rng))
        below = np.searchsorted(known, GRID, side="right") / known.size
        return Generator(lambda size, at: at.choice(known, size), below)

    return train


def smooth(width: float) -> Callable[[int, np.random.Generator], Generator]:
    """Return the training of a kernel density estimate: it cannot become the truth."""

    def train(n: int, rng: np.random.Generator) -> Generator:
        known = camel(n, rng)
        cdf = stats.norm.cdf((GRID[:, None] - known) / width).mean(axis=1)
        return Generator(lambda m, at: at.choice(known, m) + width * at.normal(size=m), cdf)

    return train


def likelihood(n: int, rng: np.random.Generator) -> Generator:
    """Return the maximum-likelihood camel of five parameters."""
    x = camel(n, rng)
    share, means, widths = 0.5, np.array([-4.0, 4.0]), np.ones(2)
    for _ in range(20):
        left, right = (
            w * stats.norm.pdf(x, m, s)
            for w, m, s in zip((share, 1 - share), means, widths, strict=True)
        )
        first = left / (left + right)
        weights = np.stack([first, 1 - first])
        share = float(first.mean())
        means = weights @ x / weights.sum(axis=1)
        widths = np.sqrt((weights * (x - means[:, None]) ** 2).sum(axis=1) / weights.sum(axis=1))

    def draw(size: int, at: np.random.Generator) -> Array:
        hump = (at.random(size) > share).astype(int)
        return np.asarray(means[hump] + widths[hump] * at.normal(size=size))

    below = stats.norm.cdf((GRID[:, None] - means) / widths)
    return Generator(draw, below @ np.array([share, 1 - share]))


GENERATORS: dict[str, Callable[[int, np.random.Generator], Generator]] = {
    "half a sample": independent(0.5),
    "memoriser": independent(1.0),
    "three samples": independent(3.0),
    "ten samples": independent(10.0),
    "kernel density": smooth(0.5),
    "maximum likelihood": likelihood,
}


def realised(generator: Generator) -> float:
    """Return the exact 1/n_equiv of one generator by the energy distance."""
    return 2.0 * float(np.trapezoid((generator.cdf - TRUTH) ** 2, GRID)) / SPREAD


def measured(
    name: str, seeds: Seeds, sizes: tuple[int, int, int], *, trainings: int = 0
) -> tuple[Amplification, float]:
    """Return a measurement, and the true 1/G of its generator.

    With `trainings`, of the procedure; the value returned is then of the first training.
    """
    n_train, n_generated, n_holdout = sizes
    rng = seeds.numpy()
    made = [GENERATORS[name](n_train, rng) for _ in range(max(1, trainings))]
    drawn = [events(each.draw(n_generated, rng)) for each in made]
    holdout = events(camel(n_holdout, rng))
    run = Run(seeds.at("measure"))
    if trainings:
        found = quadratic_procedure(run, drawn, holdout, n_train)
    else:
        found = quadratic(run, drawn[0], holdout, n_train)
    return found, n_train * realised(made[0])
