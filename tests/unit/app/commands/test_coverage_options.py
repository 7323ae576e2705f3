"""Observables of the command line: spelled simply, refused clearly."""

from __future__ import annotations

import pytest

from verisimile.app.commands.coverage import chosen_observables
from verisimile.checks.coverage.observables import BinContent, Moment, Quantile
from verisimile.core.errors import InputError

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
