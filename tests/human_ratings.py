"""Ratings drawn from laws whose answers are known."""

from __future__ import annotations

import numpy as np
from scipy import special

from verisimile.checks.ratings.table import Ratings
from verisimile.core.arrays import Array


def crossed(raters: int, items: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return raters and items of a table in which everybody answers on everything."""
    rater, item = np.meshgrid(np.arange(raters), np.arange(items), indexing="ij")
    return tuple(map(str, rater.ravel().tolist())), tuple(map(str, item.ravel().tolist()))


def choices(
    rng: np.random.Generator, sizes: tuple[int, int], spread: tuple[float, float], centre: float
) -> Ratings:
    """Return forced choices with a logit that is normal over raters and over items."""
    raters, items = sizes
    logit = centre + spread[0] * rng.normal(size=raters)[:, None]
    logit = logit + spread[1] * rng.normal(size=items)
    taken = rng.random((raters, items)) < special.expit(logit)
    words = tuple("generated" if one else "real" for one in taken.ravel())
    return Ratings(*crossed(raters, items), ("flow",) * len(words), words)


def preferences(
    rng: np.random.Generator, strengths: Array, *, raters: int, items: int, taste: float
) -> Ratings:
    """Return preferences among all pairs; each rater has a taste of its own."""
    rows: list[tuple[str, str, str, str, str]] = []
    for rater in range(raters):
        own = strengths + taste * rng.normal(size=strengths.size)
        for item in range(items):
            i, j = rng.choice(strengths.size, 2, replace=False)
            won = rng.random() < special.expit(own[i] - own[j])
            rows.append((str(rater), f"{rater}-{item}", f"s{i}", f"s{j}", f"s{i if won else j}"))
    who, what, first, second, answers = (tuple(column) for column in zip(*rows, strict=True))
    return Ratings(who, what, first, answers, second)


def scaled(rng: np.random.Generator, *, items: int, raters: int, shift: float) -> Ratings:
    """Return ratings from 1 to 5 of two systems' items, which differ from one another."""
    quality = rng.normal(size=2 * items) + shift * (np.arange(2 * items) >= items)
    values = np.clip(np.rint(3 + quality + 0.5 * rng.normal(size=(raters, 2 * items))), 1, 5)
    who, what = crossed(raters, 2 * items)
    systems = tuple("a" if int(item) < items else "b" for item in what)
    return Ratings(who, what, systems, tuple(f"{value:g}" for value in values.ravel()))
