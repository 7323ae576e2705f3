from __future__ import annotations

import json
import math

import pytest

from verisimile.core.errors import InputError
from verisimile.data.feature import Feature


def test_a_feature_survives_strict_json() -> None:
    feature = Feature("pt", unit="GeV", label=r"$p_T$", kind="spike-at-zero", low=0.1)
    text = json.dumps(feature.to_dict(), allow_nan=False)
    assert Feature.from_dict(json.loads(text)) == feature


def test_absent_keys_take_their_defaults() -> None:
    assert Feature.from_dict({"name": "eta"}) == Feature("eta")


@pytest.mark.parametrize(
    ("feature", "title"),
    [
        (Feature("m"), "m"),
        (Feature("m", unit="GeV"), "m [GeV]"),
        (Feature("m", unit="GeV", label="mass"), "mass [GeV]"),
    ],
)
def test_title_is_label_or_name_with_unit(feature: Feature, title: str) -> None:
    assert feature.title == title


@pytest.mark.parametrize(
    ("low", "high", "bounds"),
    [(-math.inf, math.inf, 0), (0, math.inf, 1), (-math.inf, 3, 1), (-1, 1, 2)],
)
def test_bounds_counts_the_finite_ones(low: float, high: float, bounds: int) -> None:
    assert Feature("x", low=low, high=high).bounds == bounds


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": ""}, "Feature.name: got ''"),
        ({"name": None}, "Feature.name: got None"),
        ({"name": "x", "kind": "circular"}, "'circular'; expected one of continuous, discrete"),
        ({"name": "x", "transform": "sqrt"}, "'sqrt'; expected one of auto, identity"),
        ({"name": "x", "low": 1.0, "high": 1.0}, r"support \[1.0, 1.0\]; expected low < high"),
        ({"name": "x", "low": math.nan}, "low: got nan"),
        ({"name": "x", "low": "zero"}, "low: got 'zero'; expected a number"),
        ({"name": "x", "low": math.inf}, "low: got inf"),
        ({"name": "x", "high": -math.inf}, "high: got -inf"),
        ({"name": "x", "high": 1e200}, "expected a bound within"),
        ({"name": "x", "transform": "log"}, "'log' with 0 finite bounds; expected 1"),
        ({"name": "x", "low": 0, "high": 1, "transform": "log"}, "'log' with 2 finite bounds"),
        ({"name": "x", "low": 0, "transform": "probit"}, "'probit' with 1 finite bounds"),
    ],
)
def test_bad_specifications_are_told(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Feature.from_dict(arguments)


def test_names_are_text_that_can_be_written() -> None:
    # Bytes of a damaged file, as Python keeps them in text.
    with pytest.raises(InputError, match=r"Feature.name: got '.*udcff'"):
        Feature("pt\udcff")
