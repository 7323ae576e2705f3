"""What limits a generator: its training events, or what it can express."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import stats

from verisimile.checks.amplification.result import Interval, normal_interval, normal_reach
from verisimile.core.arrays import Array, as_vector
from verisimile.core.errors import require
from verisimile.core.result import Estimate, Result, register
from verisimile.stats.intervals import ONE_SIGMA
from verisimile.stats.unified import bounded_normal

_SMALL = 0.01


@register("learning-curve", 1)
@dataclass(frozen=True, slots=True, eq=False)
class LearningCurve(Result):
    r"""A generator's distance from the truth as training events are added.

    .. math:: \frac{1}{n_\mathrm{equiv}} = \frac{a}{n_\mathrm{train}} + b

    Attributes
    ----------
    amplitude
        a, the inverse amplification of the data-limited part.
    floor
        b, what no training sample removes; negative by fluctuation only.
    covariance
        Of a and b.
    amplitude_intervals
        On a, cut at zero.
    floor_intervals
        On b, which cannot be negative.
    chi2, dof, p_value
        Goodness of the two terms; the p-value is NaN for two points.
    n_train, inverse_n_equiv, errors
        The measured points.
    """

    amplitude: Estimate
    floor: Estimate
    covariance: float
    amplitude_intervals: tuple[Interval, ...]
    floor_intervals: tuple[Interval, ...]
    chi2: float
    dof: int
    p_value: float
    n_train: Array
    inverse_n_equiv: Array
    errors: Array
    warnings: tuple[str, ...] = ()
    listed: ClassVar[tuple[str, ...]] = ("n_train", "inverse_n_equiv", "errors")

    def __repr__(self) -> str:
        """Return one line: both terms and the goodness of fit."""
        return (
            f"LearningCurve(1/n_equiv = ({self.amplitude.value:.3g} ± {self.amplitude.error:.2g})"
            f"/n_train + ({self.floor.value:.3g} ± {self.floor.error:.2g}), "
            f"chi2 = {self.chi2:.3g} for {self.dof}, p={self.p_value:.3g})"
        )

    @property
    def crossing(self) -> float:
        """Training events at which both terms are equal, a / b; infinite without a floor."""
        if self.floor.value <= 0.0:
            return math.inf
        return max(0.0, self.amplitude.value) / self.floor.value

    def crossing_interval(self, level: float = 0.95) -> Interval:
        r"""Return the interval on a / b: all n with a - n b compatible with zero.

        .. math:: (a - n b)^2 \le z^2 (V_a - 2 n V_{ab} + n^2 V_b)

        The upper limit is infinite where there may be no floor, the lower one zero
        where there may be no other term.

        References
        ----------
        E. C. Fieller, J. R. Stat. Soc. B 16 (1954) 175.
        """
        z2 = normal_reach(level) ** 2
        a, b = self.amplitude, self.floor
        # Coefficients of n^2, n, 1 of (a - n b)^2 - z^2 V, which is negative inside.
        square = b.value**2 - z2 * b.error**2
        linear = -2.0 * (a.value * b.value - z2 * self.covariance)
        constant = a.value**2 - z2 * a.error**2
        roots = np.roots([square, linear, constant])
        positive = sorted(float(root.real) for root in roots if abs(root.imag) == 0.0 < root.real)
        low = 0.0 if constant <= 0.0 or not positive else positive[0]
        high = math.inf if square <= 0.0 or not positive else positive[-1]
        return Interval(level, low, high)

    def at(self, n_train: float) -> Estimate:
        """Return 1/n_equiv at another number of training events."""
        require(n_train > 0.0, "n_train", got=n_train, expected="a positive number of events")
        a, b = self.amplitude, self.floor
        variance = (a.error / n_train) ** 2 + b.error**2 + 2.0 * self.covariance / n_train
        return Estimate(a.value / n_train + b.value, math.sqrt(max(0.0, variance)))

    def share_of_floor(self, n_train: float) -> float:
        """Return which part of 1/n_equiv more training events would not remove, in [0, 1]."""
        require(n_train > 0.0, "n_train", got=n_train, expected="a positive number of events")
        a, b = max(0.0, self.amplitude.value) / n_train, max(0.0, self.floor.value)
        return b / (a + b) if a + b > 0.0 else math.nan


def learning_curve(
    n_train: npt.ArrayLike,
    inverse_n_equiv: npt.ArrayLike,
    errors: npt.ArrayLike,
    *,
    levels: tuple[float, ...] = (ONE_SIGMA, 0.95),
) -> LearningCurve:
    r"""Return the data-limited and the expressiveness-limited part of a generator's error.

    Weighted least squares of :math:`1/n_\mathrm{equiv} = a/n_\mathrm{train} + b`.
    A generator that can become the truth has b = 0 and G = 1/a at any number of
    events; one that cannot has G = 0 in the end.  This is a *study*: that the error
    has just these two terms is a model, for which `p_value` is the only witness.

    Parameters
    ----------
    n_train
        Training events of each point ``(n,)``; two different ones at least.
    inverse_n_equiv
        Measured 1/n_equiv, negative ones included: dropping those biases the floor.
        Points must not share training events, nor a holdout whose noise counts.
    errors
        Standard errors, those of the fluctuation between trainings included
        (:func:`.quadratic_procedure`).  They must not be made from the fluctuating value
        itself: small values would weigh too much.
    levels
        Contents of the intervals.

    References
    ----------
    VERaiPHY sec. 6.3 (as an open question).
    """
    n = as_vector(n_train, "n_train")
    y = as_vector(inverse_n_equiv, "inverse_n_equiv", length=n.size)
    sigma = as_vector(errors, "errors", length=n.size)
    different = np.unique(n).size
    require(
        different > 1,
        "n_train",
        got=f"{different} different numbers of events",
        expected="two or more",
        remedy="Train with halves and quarters of the sample, too.",
    )
    for name, numbers in (("n_train", n), ("errors", sigma)):
        require((numbers > 0.0).all(), name, got=float(numbers.min()), expected="positive numbers")
    values, covariance, chi2 = _fit(n, y, sigma)
    a, b = (
        Estimate(float(v), float(np.sqrt(e)))
        for v, e in zip(values, np.diag(covariance), strict=True)
    )
    dof = n.size - 2
    p_value = float(stats.chi2.sf(chi2, dof)) if dof else math.nan
    return LearningCurve(
        amplitude=a,
        floor=b,
        covariance=float(covariance[0, 1]),
        amplitude_intervals=tuple(normal_interval(a, level) for level in levels),
        floor_intervals=tuple(
            Interval(level, *bounded_normal(b.value, b.error, level)) for level in levels
        ),
        chi2=chi2,
        dof=dof,
        p_value=p_value,
        n_train=n,
        inverse_n_equiv=y,
        errors=sigma,
        warnings=_warnings(p_value, a),
    )


def _fit(n: Array, y: Array, sigma: Array) -> tuple[Array, Array, float]:
    """Return (a, b), their covariance and chi²."""
    scale = float(n.min())  # both columns of order one
    design = np.stack([scale / n, np.ones_like(n)], axis=1) / sigma[:, None]
    back = np.array([scale, 1.0])
    inverse = np.asarray(np.linalg.inv(design.T @ design), dtype=np.float64)
    values = inverse @ design.T @ (y / sigma)
    chi2 = float(((y / sigma - design @ values) ** 2).sum())
    return values * back, inverse * np.outer(back, back), chi2


def _warnings(p_value: float, amplitude: Estimate) -> tuple[str, ...]:
    found = []
    if p_value < _SMALL:
        found.append(f"two terms do not describe these points (p = {p_value:.2g})")
    if amplitude.value <= 0.0:
        found.append("no improvement with training events was seen: a <= 0")
    return tuple(found)
