"""Conditions on arguments, each one line: an InputError says what was got and what expected."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from verisimile.core.errors import InputError


def require(
    condition: object, name: str, *, got: object, expected: object, remedy: str = ""
) -> None:
    """Raise an InputError unless `condition` is true.

    `got` is evaluated in any case: where it is costly or needs the condition to be false,
    write ``if`` and ``raise``.

    Examples
    --------
    >>> require(2 > 1, "bins", got=2, expected="more than one")
    """
    if not condition:
        raise InputError(name, got=got, expected=expected, remedy=remedy)


def require_at_least(
    minimum: float, value: float, name: str, *, what: str = "", remedy: str = ""
) -> None:
    """Raise an InputError unless `value`, a count, is `minimum` or more; NaN is not.

    Examples
    --------
    >>> require_at_least(2, 1, "folds")
    Traceback (most recent call last):
    verisimile.core.errors.InputError: folds: got 1; expected 2 or more.
    >>> require_at_least(2, 1, "truth", what="events")
    Traceback (most recent call last):
    verisimile.core.errors.InputError: truth: got 1; expected 2 events or more.
    """
    expected = f"{minimum:g} {what} or more" if what else f"{minimum:g} or more"
    require(value >= minimum, name, got=value, expected=expected, remedy=remedy)


def require_positive(value: npt.ArrayLike, name: str, *, remedy: str = "") -> None:
    """Raise an InputError unless all numbers of `value` are finite and above zero.

    Examples
    --------
    >>> require_positive([0.5, -1.0], "widths")
    Traceback (most recent call last):
    verisimile.core.errors.InputError: widths: got [0.5, -1.0]; expected positive numbers.
    """
    numbers = np.asarray(value, dtype=np.float64)
    fine = np.isfinite(numbers) & (numbers > 0.0)
    expected = "positive numbers" if numbers.ndim else "a positive number"
    require(fine.all(), name, got=value, expected=expected, remedy=remedy)


def require_fraction(value: npt.ArrayLike, name: str, *, remedy: str = "") -> None:
    """Raise an InputError unless all numbers of `value` are between zero and one, neither of them.

    Examples
    --------
    >>> require_fraction(1.0, "level")
    Traceback (most recent call last):
    verisimile.core.errors.InputError: level: got 1.0; expected a number in (0, 1).
    """
    numbers = np.asarray(value, dtype=np.float64)
    fine = (numbers > 0.0) & (numbers < 1.0)
    expected = "numbers in (0, 1)" if numbers.ndim else "a number in (0, 1)"
    require(fine.all(), name, got=value, expected=expected, remedy=remedy)


def require_one_of(
    value: object, options: Collection[object], name: str, *, remedy: str = ""
) -> None:
    """Raise an InputError unless `value` is among `options`.

    Examples
    --------
    >>> require_one_of("mode", ["mean", "median"], "combine")
    Traceback (most recent call last):
    verisimile.core.errors.InputError: combine: got 'mode'; expected one of ['mean', 'median'].
    """
    require(
        value in options,
        name,
        got=repr(value),
        expected=f"one of {list(options)}",
        remedy=remedy,
    )
