"""Distances of features that a user's map makes: the example of the page, and scipy's root."""

from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np
import pytest
from scipy import linalg

from verisimile.checks.twosample.statistics.frechet import frechet_distance
from verisimile.checks.twosample.statistics.kernel_distance import kernel_distance
from verisimile.core.arrays import Array
from verisimile.data.example import load_example

PAGE = Path(__file__).parents[3] / "docs" / "frechet-and-support.md"


def test_the_page_prints_what_it_says() -> None:
    outcome = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert outcome.attempted > 10
    assert outcome.failed == 0


def _features(k: int) -> tuple[Array, Array]:
    example = load_example()
    x, y = example["truth"].x[:4000], example["generator_tune"].x[:3000]
    layer = np.random.default_rng(1).normal(size=(x.shape[1], k))
    made = [np.tanh((z - x.mean(axis=0)) / x.std(axis=0) @ layer) for z in (x, y)]
    return made[0], made[1]


def _textbook(x: Array, y: Array) -> float:
    """Return the distance as programs for images compute it, with the root of a product."""
    one, two = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = linalg.sqrtm(one @ two).real
    shift = x.mean(axis=0) - y.mean(axis=0)
    return float(shift @ shift + np.trace(one + two - 2.0 * root))


def test_plain_value_is_the_textbook_distance_of_a_users_features() -> None:
    x, y = _features(40)
    found = frechet_distance(x, y, np.random.default_rng(1)).plain
    assert found == pytest.approx(_textbook(x, y), rel=1e-6)


def test_kid_of_a_users_features_is_its_definition() -> None:
    x, y = (part[:400] for part in _features(40))
    kernels = [(a @ b.T / 40 + 1.0) ** 3 for a, b in ((x, x), (y, y), (x, y))]
    within = [(k.sum() - np.trace(k)) / (400 * 399) for k in kernels[:2]]
    found = kernel_distance(x, y, np.random.default_rng(1)).value
    assert found == pytest.approx(sum(within) - 2.0 * kernels[2].mean(), rel=1e-6)
