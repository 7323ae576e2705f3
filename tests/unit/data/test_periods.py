from __future__ import annotations

import math

import numpy as np
import pytest

from verisimile.core.errors import InputError, SupportError
from verisimile.data.derived import described, periodic_descriptions, periods
from verisimile.data.events import Events
from verisimile.data.feature import Feature


def test_texts_name_features_and_periods() -> None:
    assert periods(()) == {}
    assert periods(["phi", "a = b=0:360", "angle=-1.5:1.5"]) == {
        "phi": None,
        "a = b": (0.0, 360.0),
        "angle": (-1.5, 1.5),
    }


@pytest.mark.parametrize(
    "texts",
    [["phi="], ["=0:1"], ["phi=0"], ["phi=1:0"], ["phi=0:inf"], ["phi=a:b"], ["a", "a=0:1"]],
)
def test_other_texts_are_told(texts: list[str]) -> None:
    with pytest.raises(InputError, match="name=low:high with the ends of one period"):
        periods(texts)


def test_named_features_become_periodic() -> None:
    x = np.array([[0.5, 10.0, 1.0], [3.0, 350.0, 2.0]])
    events = Events(x, [1.0, 2.0], names=("phi", "angle", "pt"), group=[4, 4])
    found = described(events, periodic_descriptions(["phi", "angle=0:360"]))
    assert [spec.kind for spec in found.features] == ["periodic", "periodic", "continuous"]
    assert [spec.period for spec in found.features[:2]] == [2.0 * math.pi, 360.0]
    assert (found.n_groups, found.weights is None, found.digest) == (1, False, events.digest)
    assert described(events, {}) is events


def test_the_stated_support_is_the_period_of_a_bare_name() -> None:
    events = Events([[0.5]], features=[Feature("phi", low=0.0, high=1.0)])
    (spec,) = described(events, periodic_descriptions(["phi"])).features
    assert spec.period == 1.0


def test_unknown_features_and_values_outside_are_told() -> None:
    events = Events([[0.5], [7.0]], names=("phi",))
    with pytest.raises(InputError, match="described features: got no column 'psi'"):
        described(events, periodic_descriptions(["psi"]))
    with pytest.raises(SupportError, match="1 values outside"):
        described(events, periodic_descriptions(["phi=0:6.3"]))
