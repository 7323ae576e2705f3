"""Angles in precision-recall curves: turning both samples alike moves nothing."""

from __future__ import annotations

import numpy as np
import pytest

from verisimile.checks.precision_recall.curve import precision_recall
from verisimile.checks.precision_recall.scores import PooledNeighbours
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.feature import Feature


def area(x: Array, y: Array, turn: float, kind: str) -> float:
    features = [
        Feature("phi", kind="periodic", low=0.0, high=1.0)
        if kind == "periodic"
        else Feature("phi"),
        Feature("m"),
    ]

    def events(values: Array) -> Events:
        return Events(
            np.column_stack([(values[:, 0] + turn) % 1.0, values[:, 1]]), features=features
        )

    found = precision_recall(
        Run(Seeds(3)), events(x), events(y), score=PooledNeighbours(), null_draws=0
    )
    return found.auc.value


def test_a_turn_moves_no_area(rng: np.random.Generator) -> None:
    x, y = rng.normal(0.0, [0.08, 1.0], size=(2, 400, 2))
    y[:, 0] += 0.1
    here, there = (area(x, y, turn, "periodic") for turn in (0.0, 0.31))
    assert here == pytest.approx(there, abs=1e-9)
    # The twin: an angle as a number, whose cut divides the events at one place and not at another.
    assert abs(area(x, y, 0.0, "line") - area(x, y, 0.31, "line")) > 1e-3


def test_rows_that_are_not_finite_stay_missed(rng: np.random.Generator) -> None:
    features = [Feature("phi", kind="periodic", low=0.0, high=1.0)]
    truth = Events(rng.random((200, 1)), features=features)
    made = rng.random((200, 1))
    made[:20] = np.nan
    found = precision_recall(Run(Seeds(3)), truth, made, score=PooledNeighbours(), null_draws=0)
    assert found.n_missed == 20
