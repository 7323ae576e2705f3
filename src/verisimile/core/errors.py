"""Named errors whose messages say what was wrong and how to mend it."""

from __future__ import annotations

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
        return type(self)(
            f"{place}: {self.name}", got=self.got, expected=self.expected, remedy=self.remedy
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only arguments do not survive the default exception pickling
        # that carries an error from a worker process to the driver.
        return (_rebuild, (type(self), self.name, self.got, self.expected, self.remedy))


class InputError(VerisimileError, ValueError):
    """An argument, file or column is not usable as given."""


class SupportError(InputError):
    """Events lie where a feature or a density does not live."""


class NumericsError(VerisimileError, ArithmeticError):
    """A computation has no finite or no converged answer."""


class StoreError(VerisimileError, RuntimeError):
    """A stored record is missing, corrupted, or belongs to another configuration."""


class IncompleteError(VerisimileError, RuntimeError):
    """Work stopped before its end; what is finished is kept and can be resumed."""


class VerisimileWarning(UserWarning):
    """Something deserves attention; the same text is kept in the result."""


def _rebuild(
    kind: type[VerisimileError], name: str, got: str, expected: str, remedy: str
) -> VerisimileError:
    return kind(name, got=got, expected=expected, remedy=remedy)
