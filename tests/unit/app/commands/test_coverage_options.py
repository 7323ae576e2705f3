"""Observables of the command line: spelled simply, refused clearly."""

from __future__ import annotations

import numpy as np
import pytest

from verisimile.app.commands.coverage import check_bins, chosen_observables
from verisimile.checks.coverage.observables import (
    BinContent,
    FeatureColumns,
    Moment,
    Quantile,
    bind_all,
)
from verisimile.core.errors import InputError
from verisimile.data.feature import Feature

FEATURES = ["pt", "a:b"]


def test_means_of_all_features_if_nothing_is_chosen() -> None:
    assert chosen_observables(FEATURES) == {
        "mean of pt": Moment("pt"),
        "mean of a:b": Moment("a:b"),
    }


def test_every_kind_has_its_name() -> None:
    found = chosen_observables(
        FEATURES, moments=["a:b", "a:b:2"], quantiles=["pt:0.9"], bins=["pt:-1:2e1"]
    )
    assert found == {
        "mean of a:b": Moment("a:b"),
        "mean of a:b^2": Moment("a:b", 2),
        "0.9 quantile of pt": Quantile("pt", 0.9),
        "-1 <= pt < 20": BinContent("pt", -1.0, 20.0),
    }


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("moments", "eta"),
        ("moments", "pt:1.5"),
        ("moments", "pt:x"),
        ("moments", "pt:0"),
        ("moments", "pt:nan"),
        ("moments", "pt:inf"),
        ("quantiles", "pt"),
        ("quantiles", "pt:2"),
        ("bins", "pt:1"),
        ("bins", "pt:2:1"),
    ],
)
def test_other_spellings_are_refused(option: str, text: str) -> None:
    with pytest.raises(InputError):
        chosen_observables(
            FEATURES,
            moments=[text] if option == "moments" else [],
            quantiles=[text] if option == "quantiles" else [],
            bins=[text] if option == "bins" else [],
        )


@pytest.mark.parametrize(("low", "high"), [(0.0, 60.0), (-5.0, -1.0), (121.0, 200.0)])
def test_bin_outside_the_support_is_refused(low: float, high: float) -> None:
    with pytest.raises(InputError, match="60 to 120"):
        check_bins([BinContent("m", low, high)], [Feature("m", low=60.0, high=120.0)])


@pytest.mark.parametrize(("low", "high"), [(0.0, 60.1), (120.0, 200.0), (80.0, 100.0)])
def test_bin_that_meets_the_support_is_taken(low: float, high: float) -> None:
    check_bins([Moment("m"), BinContent("m", low, high)], [Feature("m", low=60.0, high=120.0)])
    check_bins([BinContent("m", -low, high)], [Feature("m")])


def test_moment_beyond_floating_point_is_refused() -> None:
    columns = FeatureColumns(("m",), np.full((5, 1), 91.0))
    bind_all({"tame": Moment("m", 70)}, columns)
    for order in (100, 400):  # squares, and powers themselves
        with pytest.raises(InputError, match=f"{order}, for which powers of m"):
            bind_all({"wild": Moment("m", order)}, columns)
