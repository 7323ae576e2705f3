"""How much an estimator's rounding changes its log-densities."""

from __future__ import annotations

import numpy as np

from verisimile.core.arrays import Array
from verisimile.density.conditional import ConditionalDensity, RoundedConditional
from verisimile.density.protocol import DensityEstimator, Rounded, Sampler

__all__ = ["precision_gap"]


def precision_gap(
    model: DensityEstimator | ConditionalDensity | Sampler, *arguments: Array
) -> float:
    """Return ``max |log f − log f₆₄|`` over some events; zero for a model without rounding.

    The arguments are those of ``model.log_prob``: x, and a context if the model has one.

    A weight fit cannot resolve directions of the members' span whose relative
    curvature lies below this noise.
    """
    if not isinstance(model, Rounded | RoundedConditional):
        return 0.0
    rounded, exact = model.log_prob(*arguments), model.reference().log_prob(*arguments)
    both = np.isfinite(rounded) & np.isfinite(exact)
    return float(np.abs(rounded[both] - exact[both]).max(initial=0.0))
