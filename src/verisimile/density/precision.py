"""How much an estimator's rounding changes its log-densities."""

from __future__ import annotations

import numpy as np

from verisimile.core.arrays import Array
from verisimile.density.protocol import DensityEstimator, Rounded

__all__ = ["precision_gap"]


def precision_gap(model: DensityEstimator, x: Array) -> float:
    """Return ``max |log f − log f₆₄|`` over the events `x`; zero for a model without rounding.

    A weight fit cannot resolve directions of the members' span whose relative
    curvature lies below this noise.
    """
    if not isinstance(model, Rounded):
        return 0.0
    rounded, exact = model.log_prob(x), model.reference().log_prob(x)
    both = np.isfinite(rounded) & np.isfinite(exact)
    return float(np.abs(rounded[both] - exact[both]).max(initial=0.0))
