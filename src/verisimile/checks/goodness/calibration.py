"""How the truth of a toy relates to the fitted weights: three calibrations of the test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from verisimile.core.arrays import Array

__all__ = ["Calibration", "FluctuatedCentre", "PlugIn", "Predictive"]


class Calibration(Protocol):
    """Draws what is uncertain in a toy, in units of the eigen-variations.

    With C = L L^T, a toy's truth has weights w + L truth, and its fit is
    constrained around w + L centre.
    """

    @property
    def name(self) -> str:
        """Name that is recorded with the p-value."""
        ...

    def draw(self, rank: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return (truth, centre), each ``(r,)``."""
        ...


@dataclass(frozen=True, slots=True)
class Predictive:
    r"""Toys from :math:`f(x; w^*)`, :math:`w^* \sim N(\hat w, C)`; the constraint stays at w-hat.

    The fitted weights miss the truth by one draw of their covariance in the
    data, and so they do in these toys.  The default.

    References
    ----------
    D. B. Rubin, Ann. Statist. 12 (1984) 1151 (predictive checks).
    """

    @property
    def name(self) -> str:
        """Name that is recorded with the p-value."""
        return "predictive"

    def draw(self, rank: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return a fluctuated truth and the fitted centre."""
        return rng.standard_normal(rank), np.zeros(rank)


@dataclass(frozen=True, slots=True)
class FluctuatedCentre:
    r"""Toys from :math:`f(x; \hat w)`; the constraint's centre fluctuates, as LHC toys do.

    References
    ----------
    G. Cowan et al., Eur. Phys. J. C 71 (2011) 1554, sec. 2 (auxiliary measurements).
    """

    @property
    def name(self) -> str:
        """Name that is recorded with the p-value."""
        return "fluctuated-centre"

    def draw(self, rank: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return the fitted truth and a fluctuated centre."""
        return np.zeros(rank), rng.standard_normal(rank)


@dataclass(frozen=True, slots=True)
class PlugIn:
    """Toys from the fitted weights with the constraint at the fitted weights.

    The published recipe.  It gives toys a perfect constraint, which no data
    set has, and rejects true nulls too often whenever the weights are uncertain.

    References
    ----------
    G. Badaracco et al., sec. 2 (last paragraph of step 4).
    """

    @property
    def name(self) -> str:
        """Name that is recorded with the p-value."""
        return "plug-in"

    def draw(self, rank: int, rng: np.random.Generator) -> tuple[Array, Array]:  # noqa: ARG002
        """Return the fitted truth and the fitted centre."""
        return np.zeros(rank), np.zeros(rank)
