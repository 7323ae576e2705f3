r"""Normal scores of an exponential tail.

Beyond the last knot :math:`q`, where a share :math:`\epsilon` of the sample lies, the
density is continued as :math:`\epsilon\,\lambda\,e^{-\lambda (y - q)}`:

.. math:: z = -\Phi^{-1}\!\left(\epsilon\,e^{-\lambda (y - q)}\right), \qquad
          \frac{dz}{dy} = \lambda\,\frac{1 - \Phi(z)}{\phi(z)}.

The tangent, the other choice, has a Gaussian tail: it calls an event far outside
impossible after seeing none there, as a power law in a logarithm is not.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import erfcx, log_ndtr, ndtri_exp

from verisimile.core.arrays import Array

__all__ = ["excess_of", "score_of", "slope_at"]

_SQRT_HALF = math.sqrt(0.5)
_SQRT_HALF_PI = math.sqrt(0.5 * math.pi)


def score_of(excess: Array, rate: float, share: float) -> tuple[Array, Array]:
    r"""Return :math:`z` and :math:`\log dz/dy` at the distances `excess` beyond the knot."""
    with np.errstate(over="ignore"):
        log_share = np.clip(math.log(share) - rate * excess, -np.finfo(np.float64).max, None)
    score = -ndtri_exp(log_share)
    return score, math.log(rate) + np.log(_mills_ratio(score))


def excess_of(score: Array, rate: float, share: float) -> Array:
    """Return the distance beyond the knot of given scores."""
    return np.asarray((math.log(share) - log_ndtr(-score)) / rate)


def slope_at(score: float, rate: float) -> float:
    r"""Return :math:`dz/dy` at a given score, for a spline to join smoothly."""
    return rate * float(_mills_ratio(np.float64(score)))


def _mills_ratio(score: Array | np.float64) -> Array:
    """Return (1 − Φ(z)) / φ(z), without cancellation however large z is."""
    return np.asarray(_SQRT_HALF_PI * erfcx(_SQRT_HALF * score))
