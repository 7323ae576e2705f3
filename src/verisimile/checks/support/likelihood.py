"""How probable the data are under a density: negative log-likelihood and bits per dimension."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, as_vector
from verisimile.core.errors import InputError
from verisimile.core.result import Estimate, register

__all__ = ["Likelihood", "likelihood"]


@register("likelihood", 1)
@dataclass(frozen=True, slots=True)
class Likelihood:
    """Mean negative log-likelihood of a sample.

    Attributes
    ----------
    nll
        In nats per event; infinite if the density forbids an event.
    bits_per_dimension
        The same in bits, per event and feature.
    n_events, n_features
        Size of the sample.
    n_forbidden
        Events where the density is zero.
    """

    nll: Estimate
    bits_per_dimension: Estimate
    n_events: int
    n_features: int
    n_forbidden: int


def likelihood(
    log_prob: npt.ArrayLike,
    *,
    features: int,
    log_jacobian: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
) -> Likelihood:
    r"""Return the mean negative log-likelihood per event and in bits per dimension.

    .. math:: \mathrm{NLL} = -\frac1n \sum_i \log p(x_i), \qquad
              \mathrm{bpd} = \frac{\mathrm{NLL}}{d \ln 2}

    A density has units: expressed in MeV instead of GeV each feature adds
    :math:`\log 1000` to the NLL and 9.97 bits per dimension.  Only values in
    the same units compare.  If the density is that of :math:`y = T(x)`, pass
    :math:`\log |\det \partial T / \partial x|`; images whose integers were
    divided by 256 add 8 bits per dimension in this way.

    Parameters
    ----------
    log_prob
        Natural logarithms of the density at the events ``(n,)``; minus infinity is
        allowed, and counted.
    features
        d.
    log_jacobian
        ``(n,)``, added to `log_prob`.
    weights
        Event weights ``(n,)`` of any sign, with a positive sum.

    Raises
    ------
    InputError
        For NaN or plus infinity, no events, or weights of no positive sum.

    References
    ----------
    L. Theis, A. van den Oord, M. Bethge, arXiv:1511.01844, sec. 3.1.

    Examples
    --------
    >>> likelihood(np.log([0.25, 0.25]), features=1).bits_per_dimension
    Estimate(2 ± 0)
    """
    values = _checked(log_prob, features)
    if log_jacobian is not None:
        values = values + as_vector(log_jacobian, "log_jacobian", length=values.size)
    w = _weights(weights, values.size)
    forbidden = int((values == -np.inf).sum())
    nll = Estimate(np.inf, np.inf) if forbidden else _mean(-values, w)
    bits = features * np.log(2.0)
    per_dimension = Estimate(nll.value / bits, nll.error / bits)
    return Likelihood(nll, per_dimension, values.size, features, forbidden)


def _mean(values: Array, w: Array) -> Estimate:
    # About the first value: equal values have no error, not one of rounding.
    shift = values[0]
    mean = float(w @ (values - shift) / w.sum())
    spread = np.sqrt((w**2) @ (values - shift - mean) ** 2) / w.sum()
    return Estimate(float(shift + mean), float(spread))


def _checked(log_prob: npt.ArrayLike, features: int) -> Array:
    values = np.array(log_prob, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise InputError(
            "log_prob", got=f"an array of shape {values.shape}", expected="a vector of n > 0 values"
        )
    if np.isnan(values).any() or (values == np.inf).any():
        raise InputError(
            "log_prob",
            got="NaN or plus infinity",
            expected="logarithms of a density: finite, or minus infinity where it is zero",
        )
    if features < 1:
        raise InputError("features", got=features, expected="an integer >= 1")
    return values


def _weights(weights: npt.ArrayLike | None, n: int) -> Array:
    w = np.ones(n) if weights is None else as_vector(weights, "weights", length=n)
    if w.sum() <= 0.0:
        raise InputError("weights", got=f"the sum {w.sum():g}", expected="a positive sum")
    return w
