"""Settings of the fit of an ensemble's discrepancy."""

from __future__ import annotations

from dataclasses import dataclass

from verisimile.core.errors import require
from verisimile.mixture.solvers.newton import NewtonSolver

_PER_EVENT = 10
_FEWEST, _MOST = 20_000, 200_000
_BYTES = 2**28  # of the functions at the reference events


@dataclass(frozen=True, slots=True)
class Discrepancy:
    r"""Settings of the fit of an ensemble's discrepancy.

    Attributes
    ----------
    scale
        s of the half-Cauchy law of the groups' scales: the typical relative error of a density
        along one function, believed before any event is seen; four times that for the groups of
        a feature's ends.
    draws
        Draws of the scales.
    reference
        R, events of the mixture for moments and norm; None for ten times the events, between
        20 000 and 200 000, and fewer where the functions would take more than 256 MiB.
    cap
        Largest relative variation by the weights, as in
        :class:`~verisimile.checks.goodness.alternatives.tilt.ExponentialTilt`.
    solver
        Tolerance and most iterations of the exact fit.

    References
    ----------
    M. Kennedy, A. O'Hagan, J. R. Stat. Soc. B 63 (2001) 425 (model discrepancy);
    D. Nychka, J. Am. Stat. Assoc. 83 (1988) 1134 (coverage of smoothing bands on average).

    Examples
    --------
    >>> import verisimile as vs
    >>> vs.Discrepancy(scale=0.1).draws
    250
    """

    scale: float = 0.05
    draws: int = 250
    reference: int | None = None
    cap: float = 2.0
    solver: NewtonSolver = NewtonSolver(tolerance=1e-8)

    def __post_init__(self) -> None:
        good = (
            self.scale > 0
            and self.draws >= 50
            and (self.reference is None or self.reference >= 1000)
            and self.cap > 0
        )
        require(
            good,
            "Discrepancy",
            got=repr(self),
            expected="scale > 0, draws >= 50, reference >= 1000, cap > 0",
        )

    def reference_size(self, events: int, features: int) -> int:
        """Return R for so many events of so many features."""
        if self.reference is not None:
            return self.reference
        wanted = min(max(_PER_EVENT * events, _FEWEST), _MOST)
        return max(min(wanted, _BYTES // (8 * most_functions(features))), _FEWEST)


def most_functions(features: int) -> int:
    """Return about how many functions there are of so many features, rather more than fewer."""
    return 70 * (features + 1) + 13 * features * (features - 1)


def check_discrepancy(discrepancy: object, *, needed: bool = False) -> None:
    """Refuse anything but settings, or None where no discrepancy need be learnt."""
    good = isinstance(discrepancy, Discrepancy) or (discrepancy is None and not needed)
    require(
        good,
        "discrepancy",
        got=repr(discrepancy),
        expected="vs.Discrepancy(...)" if needed else "vs.Discrepancy(...) or None",
        remedy="Leave it out for the default.",
    )
