"""Gain and inverse gain say the same, and an unbounded gain is said as such."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from verisimile.checks.amplification.averaging import averaging
from verisimile.checks.amplification.quadratic import quadratic_procedure
from verisimile.checks.amplification.quantile import quantile_of_trainings
from verisimile.checks.amplification.regions import product_regions
from verisimile.checks.amplification.result import Amplification, AmplificationCurve, Interval
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate, from_dict, to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events


def _amplification(low: float, resolution: int = 10) -> Amplification:
    return Amplification(
        measure="quantile",
        resolution=resolution,
        inverse_gain=Estimate(0.25, 0.1),
        intervals=(Interval(0.68, 0.15, 0.35), Interval(0.95, low, 0.5)),
        n_train=100,
        n_generated=1000,
        n_holdout=100,
        details={},
    )


def test_gain_is_the_inverse() -> None:
    found = _amplification(0.05)
    assert found.gain_interval(0.95) == (2.0, 20.0)
    assert found.effective_parameters == Estimate(9 * 0.25, 9 * 0.1)
    assert math.isnan(_amplification(0.05, 0).effective_parameters.value)


def test_no_upper_bound_is_said_so() -> None:
    found = _amplification(0.0)
    assert found.gain_interval(0.95) == (2.0, math.inf)
    assert "no bound" in repr(found)


def test_unknown_levels_and_resolutions_are_named() -> None:
    curve = AmplificationCurve("quantile", (_amplification(0.0), _amplification(0.0, 20)))
    assert curve.at(20).resolution == 20
    with pytest.raises(InputError, match="10, 20"):
        curve.at(30)
    with pytest.raises(InputError, match=r"0\.68, 0\.95"):
        curve.at(10).interval(0.9)


def test_round_trip() -> None:
    curve = AmplificationCurve("quantile", (_amplification(0.0),))
    again = from_dict(to_dict(curve))
    assert isinstance(again, AmplificationCurve)
    assert repr(again.points[0]) == repr(curve.points[0])


def test_below_zero_altogether_has_no_bound_at_all() -> None:
    found = replace(_amplification(0.0), intervals=(Interval(0.95, 0.0, 0.0),))
    assert found.gain_interval(0.95) == (math.inf, math.inf)
    assert repr(found).endswith("G without bound)")


def test_one_sample_is_no_sequence_of_trainings() -> None:
    run, one = Run(Seeds(1)), Events(np.random.default_rng(1).normal(size=(200, 1)))
    calls = (
        lambda: quantile_of_trainings(run, one, one, n_train=100),  # type: ignore[arg-type]
        lambda: quadratic_procedure(run, one, one, 100),  # type: ignore[arg-type]
        lambda: averaging(run, one, n_train=100, regions=product_regions([[0.0]])),  # type: ignore[arg-type]
    )
    for call in calls:
        with pytest.raises(InputError, match="one sample, an Events; expected a sequence"):
            call()
