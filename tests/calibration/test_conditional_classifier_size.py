"""Size and power of the conditional classifier, with training in every pseudo-experiment."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from statistical import assert_rate
from verisimile.checks.classifier.conditional import diagnose_conditional
from verisimile.checks.classifier.diagnosis import diagnose_with_classifier
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events

Show = Callable[[str], None]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(3600)]

EXPERIMENTS = 500
NAMES = ("x", "c")
LINEAR = LogisticRegression()


def _at(c: Array, rng: np.random.Generator, shift: float = 0.0) -> Events:
    return Events(np.stack([c + shift + rng.normal(size=c.size), c], axis=1), names=NAMES)


def _samples(kind: str, rng: np.random.Generator, shift: float) -> tuple[Events, Events]:
    """Return truth and generated events: paired, of three contexts, or of unlike contexts."""
    if kind == "pairs":
        c = rng.normal(size=60)
        return _at(c, rng), _at(c, rng, shift)
    if kind == "three contexts":
        first, second = (
            rng.choice(3, size=90, p=odds).astype(np.float64)
            for odds in ((0.5, 0.3, 0.2), (0.2, 0.3, 0.5))
        )
        return _at(first, rng), _at(second, rng, shift)
    return _at(rng.normal(size=300), rng), _at(rng.normal(size=300) + 0.5, rng, shift)


def _rejected(kind: str, experiments: int, shift: float = 0.0, *, plain: bool = False) -> int:
    rng, count = np.random.default_rng(12), 0
    for _ in range(experiments):
        run = Run(Seeds(int(rng.integers(1 << 40))))
        truth, generated = _samples(kind, rng, shift)
        if plain:
            p = diagnose_with_classifier(
                run, truth, generated, learner=LINEAR, folds=2, permutations=99
            ).p_value
        else:
            found = diagnose_conditional(
                run, truth, generated, ["c"], learner=LINEAR, folds=2, permutations=99
            )
            assert found.exact == (kind != "unlike contexts")
            p = found.p_value
        count += p.value <= 0.05 + 1e-9
    return count


@pytest.mark.parametrize("kind", ["pairs", "three contexts", "unlike contexts"])
def test_size(kind: str, show: Show) -> None:
    rejected = _rejected(kind, EXPERIMENTS)
    show(f"size at 5 %, {kind}: {rejected / EXPERIMENTS:.3f}")
    assert_rate(rejected, EXPERIMENTS, 0.05)


@pytest.mark.parametrize("kind", ["three contexts", "unlike contexts"])
def test_plain_permutations_are_found_out(kind: str, show: Show) -> None:
    rejected = _rejected(kind, 100, plain=True)
    show(f"size at 5 %, {kind}, plain permutations: {rejected / 100:.2f}")
    with pytest.raises(AssertionError, match="outside"):
        assert_rate(rejected, 100, 0.05)


@pytest.mark.parametrize("kind", ["pairs", "three contexts", "unlike contexts"])
def test_a_shift_is_seen(kind: str, show: Show) -> None:
    rejected = _rejected(kind, 100, 0.7)
    show(f"power at 5 %, shift 0.7, {kind}: {rejected / 100:.2f}")
    assert rejected > 50
