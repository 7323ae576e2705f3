"""Corrections for many tests against hand-made numbers and their guarantees."""

from __future__ import annotations

import numpy as np
import pytest

from statistical import assert_rate
from verisimile.core.errors import InputError
from verisimile.stats.aggregate import benjamini_hochberg, holm

# Benjamini and Hochberg's own example (1995, sec. 3.2): 15 p-values of a clinical trial.
PUBLISHED = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
    0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000,
]  # fmt: skip


def test_hand_made_numbers() -> None:
    p = [0.04, 0.01, 0.03, 0.005]
    assert holm(p) == pytest.approx([0.06, 0.03, 0.06, 0.02])
    assert benjamini_hochberg(p) == pytest.approx([0.04, 0.02, 0.04, 0.02])


def test_published_example() -> None:
    # They reject four hypotheses at q = 0.05, Bonferroni's and Holm's procedures three.
    assert (benjamini_hochberg(PUBLISHED) <= 0.05).sum() == 4
    assert (holm(PUBLISHED) <= 0.05).sum() == 3


def test_order_and_shape_do_not_matter(rng: np.random.Generator) -> None:
    p = rng.random(12)
    order = rng.permutation(12)
    for adjust in (holm, benjamini_hochberg):
        assert adjust(p)[order] == pytest.approx(adjust(p[order]))
        assert adjust(p.reshape(3, 4)).ravel() == pytest.approx(adjust(p))


def test_nan_stays_and_counts_as_a_test() -> None:
    p = [0.01, np.nan, 0.02]
    assert holm(p) == pytest.approx([0.03, np.nan, 0.04], nan_ok=True)
    assert benjamini_hochberg(p) == pytest.approx([0.03, np.nan, 0.03], nan_ok=True)


@pytest.mark.parametrize("bad", [-0.1, 1.1])
def test_no_probabilities_are_refused(bad: float) -> None:
    with pytest.raises(InputError, match="p-values: got"):
        holm([0.5, bad])


def test_one_or_no_test_needs_no_correction() -> None:
    assert holm([0.3]) == pytest.approx([0.3])
    assert holm([]).size == 0


def _false_alarms(p: np.ndarray, adjust: object) -> int:
    return sum(bool((adjust(row) <= 0.05).any()) for row in p)  # type: ignore[operator]


def test_family_wise_error(rng: np.random.Generator) -> None:
    p = rng.random((4000, 10))
    assert_rate(_false_alarms(p, holm), 4000, 1 - (1 - 0.005) ** 10)
    # The defective twin corrects nothing.
    with pytest.raises(AssertionError, match="outside"):
        assert_rate(_false_alarms(p, np.asarray), 4000, 1 - (1 - 0.005) ** 10)
