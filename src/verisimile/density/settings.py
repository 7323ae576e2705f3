"""What is checked of every recipe's settings."""

from __future__ import annotations

from dataclasses import fields
from numbers import Real
from typing import Any

from verisimile.core.errors import InputError

__all__ = ["require_positive"]


def require_positive(recipe: Any) -> None:  # noqa: ANN401  (any dataclass)
    """Raise unless all numbers of a recipe are positive, and `marginal_bins` is 0 or at least 2.

    Raises
    ------
    InputError
        Naming the settings that are not.
    """
    given = {field.name: getattr(recipe, field.name) for field in fields(recipe)}
    wrong = {
        name: value
        for name, value in given.items()
        if isinstance(value, Real) and not isinstance(value, bool) and not _fine(name, float(value))
    }
    if wrong:
        raise InputError(
            type(recipe).__name__,
            got=", ".join(f"{name}={value!r}" for name, value in wrong.items()),
            expected="positive settings, marginal_bins 0 or at least 2",
        )


def _fine(name: str, value: float) -> bool:
    return value >= 0 and value != 1 if name == "marginal_bins" else value > 0
