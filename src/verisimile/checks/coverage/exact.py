"""Models that know expectations in closed form: used instead of draws where all of them do."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from verisimile.core.arrays import Array

__all__ = ["KnowsMarginals", "KnowsMoments"]


@runtime_checkable
class KnowsMoments(Protocol):
    """A member or truth with exact moments."""

    def moment(self, column: int, order: int) -> float:
        """Return the raw moment of one feature."""
        ...


@runtime_checkable
class KnowsMarginals(Protocol):
    """A member or truth with exact distribution functions of its features."""

    def marginal_cdf(self, column: int, x: Array) -> Array:
        """Return the distribution function of one feature at `x`, ``(G,)``."""
        ...
