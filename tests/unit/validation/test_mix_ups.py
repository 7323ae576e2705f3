"""Mistakes of the input are told apart from bad generators."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from verisimile.core.errors import InputError
from verisimile.data.events import Events
from verisimile.samples.columns import swapped_columns
from verisimile.validation.samples import check_units, rounding_mismatches

NAMES = ("m", "pt")


def _events(seed: int, n: int = 2000) -> Events:
    rng = np.random.default_rng(seed)
    return Events(np.column_stack([rng.normal(91, 3, n), rng.exponential(20, n)]), names=NAMES)


@pytest.mark.parametrize("factor", [1000.0, 0.001])
def test_other_units_are_an_error(factor: float) -> None:
    theirs = Events(_events(2).x * [factor, 1.0], names=NAMES)
    with pytest.raises(InputError, match=f"'m' about {factor:g} times") as caught:
        check_units(_events(1), theirs)
    assert "pt" not in caught.value.got
    assert "MeV and GeV" in str(caught.value)


@pytest.mark.parametrize("factor", [1.0, 2.0, 100.0, 400.0, 3000.0])
def test_other_factors_are_not(factor: float) -> None:
    check_units(_events(1), Events(_events(2).x * factor, names=NAMES))


def test_zero_is_no_unit() -> None:
    zeros = Events(np.zeros((50, 2)), names=NAMES)
    check_units(zeros, _events(1))
    check_units(_events(1), zeros)


def test_exchanged_columns_are_a_warning() -> None:
    (found,) = swapped_columns(_events(1), Events(_events(2).x[:, ::-1], names=NAMES))
    assert "'m' and 'pt' look exchanged" in found


def test_a_bad_generator_has_not_exchanged_columns() -> None:
    assert swapped_columns(_events(1), _events(2)) == []
    assert swapped_columns(_events(1), Events(_events(2).x + 30.0, names=NAMES)) == []
    # Two features of one law: nothing to see, and nothing wrong.
    same = np.random.default_rng(3).normal(size=(2, 500, 2))
    assert swapped_columns(Events(same[0]), Events(same[1])) == []


@pytest.mark.parametrize(
    ("rounded", "name"),
    [
        (lambda x: x.round(), "whole numbers"),
        (lambda x: x.round(2), "2 decimals"),
        (lambda x: x.astype(np.float32), "single precision"),
        (lambda x: x.round(2).astype(np.float32), "2 decimals"),
    ],
    ids=["whole", "two", "single", "two in single"],
)
def test_rounding_of_one_sample_is_named(
    rounded: Callable[[np.ndarray], np.ndarray], name: str
) -> None:
    ours, theirs = _events(1), _events(2)
    changed = Events(rounded(theirs.x), names=NAMES)
    (found,) = rounding_mismatches(ours, changed)
    assert found.startswith("features 'm', 'pt': double precision in the reference sample")
    assert f"{name} in the generated one" in found
    (other_way,) = rounding_mismatches(changed, ours)
    assert f"{name} in the reference sample" in other_way
    assert rounding_mismatches(changed, Events(rounded(ours.x), names=NAMES)) == []
    assert rounding_mismatches(ours, theirs) == []


def test_one_rounded_feature_is_named_alone() -> None:
    ours, theirs = _events(1), _events(2)
    x = theirs.x * 1.0
    x[:, 1] = x[:, 1].round()
    (found,) = rounding_mismatches(ours, Events(x, names=NAMES))
    assert found.startswith("feature 'pt': double")
