"""P-values of many tests, corrected for their number."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError


def holm(p: npt.ArrayLike) -> Array:
    r"""Return adjusted p-values, of the shape given, that bound the chance of any false alarm.

    .. math:: \tilde p_{(i)} = \max_{j \le i} \min\{(J - j + 1)\, p_{(j)}, 1\}

    Rejecting :math:`\tilde p \le \alpha` falsely rejects one true null or more with
    probability at most :math:`\alpha`, whatever the dependence of the tests.  NaN stays
    NaN and counts as a test that was made.

    References
    ----------
    S. Holm, Scand. J. Stat. 6 (1979) 65.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    values, order = _sorted(p)
    factors = values.size - np.arange(values.size)
    steps = np.minimum(factors * values.ravel()[order], 1.0)
    return _placed(np.maximum.accumulate(steps[~np.isnan(steps)]), order, values)


def benjamini_hochberg(p: npt.ArrayLike) -> Array:
    r"""Return adjusted p-values that bound the expected share of false alarms among all.

    .. math:: \tilde p_{(i)} = \min_{j \ge i} \min\{J\, p_{(j)} / j, 1\}

    For independent or positively dependent tests.  NaN stays NaN and counts as a test.

    References
    ----------
    Y. Benjamini, Y. Hochberg, J. R. Stat. Soc. B 57 (1995) 289.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03])
    array([0.03, 0.04, 0.04])
    """
    values, order = _sorted(p)
    steps = np.minimum(values.size * values.ravel()[order] / (1.0 + np.arange(values.size)), 1.0)
    known = steps[~np.isnan(steps)]
    return _placed(np.minimum.accumulate(known[::-1])[::-1], order, values)


def _sorted(p: npt.ArrayLike) -> tuple[Array, npt.NDArray[np.intp]]:
    """Return the values and the order of the flattened ones; NaN comes last."""
    values = np.asarray(p, dtype=np.float64)
    wrong = values[(values < 0.0) | (values > 1.0)]
    if wrong.size:
        raise InputError("p-values", got=float(wrong[0]), expected="numbers in [0, 1], or NaN")
    return values, np.argsort(values, axis=None, kind="stable")


def _placed(adjusted: Array, order: npt.NDArray[np.intp], values: Array) -> Array:
    out = np.full(values.size, np.nan)
    out[order[: adjusted.size]] = adjusted
    return out.reshape(values.shape)
