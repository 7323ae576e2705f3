"""Option texts become values, or a message that shows the right form."""

from __future__ import annotations

import math

import pytest

from verisimile.app.options import column_list, default_executor, support_bounds, trainer
from verisimile.core.errors import InputError
from verisimile.core.executor import resolve_executor


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", None),
        ("m", ["m"]),
        ("m, pt,y_ll", ["m", "pt", "y_ll"]),
        (
            "hypot(px, py),sum(pt[min(pt, 3) > 1]), m",
            ["hypot(px, py)", "sum(pt[min(pt, 3) > 1])", "m"],
        ),
        ("a),b", ["a)", "b"]),
    ],
)
def test_columns(text: str, names: list[str] | None) -> None:
    assert column_list(text) == names


@pytest.mark.parametrize("text", ["m,,pt", ",", "m,"])
def test_an_empty_column_name_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--features"):
        column_list(text)


def test_bounds() -> None:
    assert support_bounds(["m=60:120", "pt=0:", "eta=:2.5", "odd=name=-1:1e3", "z=:"]) == {
        "m": (60.0, 120.0),
        "pt": (0.0, math.inf),
        "eta": (-math.inf, 2.5),
        "odd=name": (-1.0, 1000.0),
        "z": (-math.inf, math.inf),
    }


@pytest.mark.parametrize("text", ["m", "m=", "m=3", "=0:1", "m=a:b", "m=nan:1", "m=0:nan", "m=0,1"])
def test_a_malformed_bound_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="name=low:high"):
        support_bounds([text])


def test_a_bound_given_twice_is_refused() -> None:
    with pytest.raises(InputError, match="once for each feature"):
        support_bounds(["m=0:1", "m=0:2"])


def test_the_default_executor_is_one_that_exists() -> None:
    assert resolve_executor(default_executor("")).name in {"serial", default_executor("")}
    assert default_executor("loky:3") == "loky:3"


def test_trainer_takes_what_is_given_and_leaves_the_rest() -> None:
    default, changed = trainer({}), trainer({"epochs": 3, "hidden": None, "learning_rate": 0.5})
    assert changed.epochs == 3
    assert changed.learning_rate == 0.5
    assert changed.hidden == default.hidden


def test_trainer_refuses_what_is_out_of_range() -> None:
    with pytest.raises(InputError):
        trainer({"learning_rate": -1.0})
