"""How many toys: a number, or until enough of them are extreme."""

from __future__ import annotations

from dataclasses import dataclass

from verisimile.core.errors import InputError

__all__ = ["Sequential", "most_toys"]


@dataclass(frozen=True, slots=True)
class Sequential:
    r"""Throw toys until enough of them are as extreme as the data, p = h / l.

    A p-value of 0.5 is settled by some 20 toys, one of 0.01 takes about
    a thousand.  The p-value is valid whatever the settings: see
    :func:`~verisimile.stats.sequential.besag_clifford`.

    Attributes
    ----------
    exceedances
        h, extreme toys that end the search; p then has a relative error of
        about :math:`1/\sqrt h`.
    most
        B, toys after which the search ends anyway.

    References
    ----------
    J. Besag, P. Clifford, Biometrika 78 (1991) 301.
    """

    exceedances: int = 10
    most: int = 1000

    def __post_init__(self) -> None:
        if not 1 <= self.exceedances <= self.most:
            raise InputError(
                "Sequential",
                got=repr(self),
                expected="1 <= exceedances <= most",
                remedy="10 exceedances in at most 1000 toys are a good start.",
            )


def most_toys(toys: int | Sequential) -> int:
    """Return the largest number of toys that may be thrown."""
    return toys.most if isinstance(toys, Sequential) else toys
