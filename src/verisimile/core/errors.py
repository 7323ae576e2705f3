"""Named errors that say what was wrong and how to mend it, and conditions that raise them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Self


class VerisimileError(Exception):
    """Base of every error raised on purpose: what, got, expected, remedy.

    Parameters
    ----------
    name
        The thing that is wrong, as the user knows it (``"events.x"``, a file path).
    got
        What was found.
    expected
        What would have been right.
    remedy
        What the user can do now.

    Examples
    --------
    >>> import verisimile as vs
    >>> try:
    ...     vs.BootstrapPlan(members=0)
    ... except vs.VerisimileError as error:
    ...     name = error.name
    >>> name
    'BootstrapPlan'
    """

    def __init__(self, name: str, *, got: object, expected: object, remedy: str = "") -> None:
        self.name = name
        self.got = str(got)
        self.expected = str(expected)
        self.remedy = remedy
        message = f"{name}: got {self.got}; expected {self.expected}."
        super().__init__(f"{message} {remedy}" if remedy else message)

    def within(self, place: object) -> Self:
        """Return the same error with a place, such as a file, in front of its name."""
        moved = type(self)(
            f"{place}: {self.name}", got=self.got, expected=self.expected, remedy=self.remedy
        )
        moved.__cause__ = self.__cause__
        return moved

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only arguments do not survive the default exception pickling
        # that carries an error from a worker process to the driver.
        return (_rebuild, (type(self), self.name, self.got, self.expected, self.remedy))


class InputError(VerisimileError, ValueError):
    """An argument, file or column is not usable as given.

    Examples
    --------
    >>> import verisimile as vs
    >>> str(vs.InputError("members", got=0, expected="at least 1"))
    'members: got 0; expected at least 1.'
    """


class SupportError(InputError):
    """Events lie where a feature or a density does not live.

    Examples
    --------
    >>> import verisimile as vs
    >>> issubclass(vs.SupportError, vs.VerisimileError)
    True
    """


class NumericsError(VerisimileError, ArithmeticError):
    """A computation has no finite or no converged answer.

    Examples
    --------
    >>> import verisimile as vs
    >>> issubclass(vs.NumericsError, vs.VerisimileError)
    True
    """


class StoreError(VerisimileError, RuntimeError):
    """A stored record is missing, corrupted, or belongs to another configuration.

    Examples
    --------
    >>> import verisimile as vs
    >>> issubclass(vs.StoreError, vs.VerisimileError)
    True
    """


class IncompleteError(VerisimileError, RuntimeError):
    """Work stopped before its end; what is finished is kept and can be resumed.

    Examples
    --------
    >>> import verisimile as vs
    >>> issubclass(vs.IncompleteError, vs.VerisimileError)
    True
    """


class VerisimileWarning(UserWarning):
    """Something deserves attention; the same text is kept in the result.

    Examples
    --------
    >>> import verisimile as vs
    >>> issubclass(vs.VerisimileWarning, UserWarning)
    True
    """


def _rebuild(
    kind: type[VerisimileError], name: str, got: str, expected: str, remedy: str
) -> VerisimileError:
    return kind(name, got=got, expected=expected, remedy=remedy)


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
