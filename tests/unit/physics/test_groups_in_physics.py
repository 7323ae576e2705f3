"""Selections and constraints of rows that come in groups: size, and what rows alone would say."""

from __future__ import annotations

import numpy as np
import pytest

from statistical import assert_rate
from verisimile.checks.physics.constraints import violations
from verisimile.checks.physics.selections import efficiencies
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.data.expressions import Condition

CUT = Condition("x0 > 0.3")
REPETITIONS = 400


def pair(seed: Seeds, *, grouped: bool) -> tuple[Events, Events]:
    """Return 60 physics events of three equal rows, against 60 others."""
    rng, group = seed.numpy(), np.repeat(np.arange(60), 3)
    first, second = (
        Events(np.repeat(rng.normal(size=(60, 1)), 3, axis=0), group=group if grouped else None)
        for _ in range(2)
    )
    return first, second


def rejections(*, grouped: bool) -> int:
    found = (
        efficiencies(*pair(Seeds(5).at(k), grouped=grouped), {"cut": CUT})[0].p_value
        for k in range(REPETITIONS)
    )
    return sum(p <= 0.05 for p in found)


def test_size_of_selections_with_groups() -> None:
    assert_rate(rejections(grouped=True), REPETITIONS, 0.05)


def test_rows_counted_alone_lose_their_size() -> None:
    # The defective twin: groups of three equal rows, not declared.
    with pytest.raises(AssertionError, match="outside"):
        assert_rate(rejections(grouped=False), REPETITIONS, 0.05)


def test_the_error_is_that_of_groups() -> None:
    first, second = pair(Seeds(6), grouped=True)
    found = efficiencies(first, second, {"cut": CUT})[0]
    value = found.reference.value
    assert found.reference.error == pytest.approx(np.sqrt(value * (1 - value) / 60))
    assert found.method == "normal law"
    assert found.reference.low == pytest.approx(value - found.reference.error)


def test_a_law_is_violated_by_groups() -> None:
    first, second = pair(Seeds(7), grouped=True)
    found = violations(first, second, {"bounded": Condition("x0 < 1.5")})[0]
    assert found.reference.n_groups == 60
    assert found.reference.violated == 3 * found.reference.violated_groups > 0
    alone = violations(*pair(Seeds(7), grouped=False), {"b": Condition("x0 < 1.5")})[0]
    assert alone.reference.violated_groups == alone.reference.violated
    assert alone.reference.n_groups == 180
