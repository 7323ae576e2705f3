"""Errors say what was wrong, and survive the way from a worker to the driver."""

from __future__ import annotations

import pickle

import pytest

from verisimile.core.errors import (
    IncompleteError,
    InputError,
    NumericsError,
    StoreError,
    SupportError,
    VerisimileError,
)

KINDS = [InputError, SupportError, NumericsError, StoreError, IncompleteError]


def test_message_has_name_got_expected_remedy() -> None:
    error = InputError("events.x", got=3, expected="a matrix", remedy="Use x[:, None].")
    assert str(error) == "events.x: got 3; expected a matrix. Use x[:, None]."


def test_message_without_remedy_ends_with_what_was_expected() -> None:
    assert str(InputError("x", got=3, expected="a matrix")) == "x: got 3; expected a matrix."


@pytest.mark.parametrize("kind", KINDS)
def test_errors_survive_pickling(kind: type[VerisimileError]) -> None:
    error = kind("x", got="a", expected="b", remedy="c")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error)
    assert (copy.name, copy.got, copy.expected, copy.remedy) == ("x", "a", "b", "c")


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (InputError, ValueError),
        (SupportError, InputError),
        (NumericsError, ArithmeticError),
        (StoreError, RuntimeError),
        (IncompleteError, RuntimeError),
    ],
)
def test_errors_are_also_the_builtin_kind(kind: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(kind, builtin)
    assert issubclass(kind, VerisimileError)


def test_a_place_in_front_keeps_the_cause() -> None:
    error = StoreError("x", got="nothing", expected="a file")
    error.__cause__ = OSError(28, "No space left on device")
    assert error.within("here").__cause__ is error.__cause__
    assert str(error.within("here")).startswith("here: x: got nothing")
