r"""The strength of a signal above templates, by the profile likelihood.

.. math:: -\ln L(\mu, \alpha, \gamma) = \sum_b (\lambda_b - n_b \ln \lambda_b)
          + \tfrac12 |\alpha|^2 + \tfrac12 \sum_b \frac{(\gamma_b - 1)^2}{\delta_b^2}, \qquad
          \lambda_b = \mu s_b + \gamma_b \Big(h_b + \sum_k \alpha_k v_{kb}\Big)

with delta the relative statistical errors of the templates: the model that pyhf makes of
:meth:`~verisimile.mixture.templates.Templates.to_pyhf`.  In an empty bin a negative expectation
counts as none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, optimize, stats

from verisimile.core.arrays import Array, BoolArray
from verisimile.core.errors import NumericsError, require
from verisimile.core.result import Result, register
from verisimile.mixture.templates import Templates, require_positive

_MOST = 200
_TOLERANCE = 1e-10
_SHORTEST = 1e-10
_SMOOTH = 0.02  # events
_CONTENTS = (0.682689, 0.95)


@register("signal-fit", 1)
@dataclass(frozen=True, slots=True)
class SignalFit(Result):
    r"""The strength of a signal.

    Attributes
    ----------
    mu, error
        Estimate, and its error from the curvature.
    interval68, interval95
        Where :math:`2 \Delta \ln L` is below the quantile of :math:`\chi^2_1`.
    q0
        :math:`2 \ln L(\hat\mu) / L(0)`, zero for a negative estimate.
    """

    mu: float
    error: float
    interval68: tuple[float, float]
    interval95: tuple[float, float]
    q0: float

    @property
    def z(self) -> float:
        r"""Significance :math:`\sqrt{q_0}` of an excess."""
        return math.sqrt(self.q0)

    def __repr__(self) -> str:
        """Return one line."""
        return f"SignalFit(mu={self.mu:.4g} ± {self.error:.2g}, Z={self.z:.3g})"


@dataclass(frozen=True, slots=True, eq=False)
class _Likelihood:
    signal: Array
    observed: Array
    nominal: Array
    variations: Array
    relative: Array

    def parts(self, mu: float, theta: Array) -> tuple[Array, Array, Array, BoolArray]:
        """Return expectations, templates as varied, gamma, and which of these are free."""
        k = len(self.variations)
        alpha, gamma = theta[:k], np.ones(self.nominal.size)
        free = self.relative > 0.0
        gamma[free] = theta[k:]
        shape = self.nominal + alpha @ self.variations
        return mu * self.signal + gamma * shape, shape, gamma, free

    def value(self, mu: float, theta: Array) -> float:
        """Return minus the log-likelihood, infinite where an expectation is not positive."""
        expected, _, gamma, free = self.parts(mu, theta)
        seen = self.observed > 0.0
        if not (expected[seen] > 0.0).all():
            return math.inf
        k = len(self.variations)
        poisson = float((expected[seen] - self.observed[seen] * np.log(expected[seen])).sum())
        poisson += float(_above_zero(expected[~seen])[0].sum())
        pulls = (gamma[free] - 1.0) / self.relative[free]
        return poisson + 0.5 * float(theta[:k] @ theta[:k]) + 0.5 * float(pulls @ pulls)

    def curved(self, mu: float, theta: Array) -> tuple[Array, Array]:
        """Return gradient and Hessian along (mu, alpha, gamma)."""
        expected, shape, gamma, free = self.parts(mu, theta)
        k, g = len(self.variations), np.flatnonzero(free)
        along = np.zeros((1 + theta.size, self.nominal.size))
        along[0], along[1 : 1 + k] = self.signal, self.variations * gamma
        along[1 + k + np.arange(g.size), g] = shape[g]
        _, slope, bend = _above_zero(expected)
        seen = self.observed > 0.0
        slope[seen] = 1.0 - self.observed[seen] / expected[seen]
        bend[seen] = self.observed[seen] / expected[seen] ** 2
        gradient = along @ slope
        hessian = (along * bend) @ along.T
        # Variations and statistical errors multiply: a mixed second derivative of the expectation.
        mixed = self.variations[:, g] * slope[g]
        hessian[1 : 1 + k, 1 + k :] += mixed
        hessian[1 + k :, 1 : 1 + k] += mixed.T
        gradient[1 : 1 + k] += theta[:k]
        gradient[1 + k :] += (gamma[g] - 1.0) / self.relative[g] ** 2
        precision = np.concatenate([[0.0], np.ones(k), 1.0 / self.relative[g] ** 2])
        return gradient, hessian + np.diag(precision)

    def minimum(self, mu: float, theta: Array, *, fixed: bool) -> tuple[float, Array, float, Array]:
        """Return where minus the log-likelihood is smallest, its value and the Hessian there."""
        start = 1 if fixed else 0
        value = self.value(mu, theta)
        for _ in range(_MOST):
            gradient, hessian = self.curved(mu, theta)
            step = np.zeros(gradient.size)
            step[start:] = -_solved(hessian[start:, start:], gradient[start:])
            decrement = -float(gradient @ step)
            if decrement < _TOLERANCE:
                return mu, theta, value, hessian
            length = 1.0
            while length > _SHORTEST:
                there = mu + length * step[0], theta + length * step[1:]
                reached = self.value(*there)
                if reached <= value - 1e-4 * length * decrement:
                    break
                length *= 0.5
            else:
                return mu, theta, value, hessian
            (mu, theta), value = there, reached
        raise NumericsError(
            "fit of the signal",
            got=f"no optimum after {_MOST} steps",
            expected="an optimum",
            remedy="Merge bins with few events.",
        )


def _above_zero(expected: Array) -> tuple[Array, Array, Array]:
    """Return the positive part, smooth within a fiftieth of an event, and its two derivatives.

    What an empty bin adds to the likelihood: no expectation is less than nothing.
    """
    root = np.sqrt(expected**2 + _SMOOTH**2)
    slope = 0.5 * (1.0 + expected / root)
    return 0.5 * (expected + root), slope, 0.5 * _SMOOTH**2 / root**3


@dataclass(slots=True, eq=False)
class _ProfileOfStrength:
    """Minus the log-likelihood at given strengths, its other parameters followed from the optimum.

    What was the optimum at one strength may have a negative expectation at another: the way there
    is gone in steps that have none.
    """

    problem: _Likelihood
    mu: float
    theta: Array

    def at(self, mu: float) -> float:
        """Return the smallest value at a strength, infinite if a bin with events expects none."""
        here, theta, step = self.mu, self.theta, mu - self.mu
        while True:
            there = mu if abs(step) >= abs(mu - here) else here + step
            if math.isfinite(self.problem.value(there, theta)):
                _, theta, value, _ = self.problem.minimum(there, theta, fixed=True)
                if there == mu:
                    return value
                here = there
            else:
                step *= 0.5
                if abs(step) < _SHORTEST * max(1.0, abs(here)):
                    return math.inf


def _solved(hessian: Array, gradient: Array) -> Array:
    try:
        return np.asarray(linalg.solve(hessian, gradient, assume_a="pos"))
    except linalg.LinAlgError:
        values, vectors = linalg.eigh(hessian)
        return np.asarray(vectors @ ((vectors.T @ gradient) / np.maximum(np.abs(values), 1e-8)))


def fit_signal(
    templates: Templates, signal: Sequence[float] | Array, observed: Sequence[float] | Array
) -> SignalFit:
    r"""Return the strength of a signal above templates, with profile-likelihood intervals.

    The equation is that of the module.

    Parameters
    ----------
    templates
        The background.
    signal, observed
        Expected signal at strength one, and observed events, ``(G,)``.

    Raises
    ------
    InputError
        If they have another number of bins, the signal is zero, or a bin of the background is
        empty.
    NumericsError
        If there is no optimum.

    References
    ----------
    G. Cowan et al., Eur. Phys. J. C 71 (2011) 1554 (profile likelihood, q0).
    """
    s, n = np.asarray(signal, dtype=np.float64), np.asarray(observed, dtype=np.float64)
    for name, values in (("signal", s), ("observed", n)):
        require(
            values.shape == templates.nominal.shape and bool((values >= 0.0).all()),
            name,
            got=f"an array of shape {values.shape}, {int((values < 0.0).sum())} negative",
            expected=f"{templates.nominal.size} numbers from zero up",
        )
    require(bool(s.any()), "signal", got="zero in every bin", expected="some events")
    require_positive(templates)
    relative = templates.statistical / templates.nominal
    problem = _Likelihood(s, n, templates.nominal, templates.variations, relative)
    rest = np.zeros(len(templates.variations) + int((relative > 0.0).sum()))
    rest[len(templates.variations) :] = 1.0
    mu, theta, best, hessian = problem.minimum(0.0, rest, fixed=False)
    error = math.sqrt(float(linalg.inv(hessian)[0, 0]))

    profile = _ProfileOfStrength(problem, mu, theta)

    def beyond(at: float, level: float) -> float:
        return 2.0 * (profile.at(at) - best) - level

    quantiles = [float(stats.chi2.ppf(content, 1)) for content in _CONTENTS]
    inner, outer = (
        (_crossing(beyond, mu, -error, level), _crossing(beyond, mu, error, level))
        for level in quantiles
    )
    q0 = max(0.0, beyond(0.0, 0.0)) if mu > 0.0 else 0.0
    return SignalFit(mu, error, inner, outer, q0)


def _crossing(
    beyond: Callable[[float, float], float], mu: float, step: float, level: float
) -> float:
    """Return where the profile crosses a level on one side of the estimate."""
    reach = step * math.sqrt(level)
    for _ in range(60):
        outside = beyond(mu + reach, level)
        if outside > 0.0:
            search = optimize.brentq if math.isfinite(outside) else optimize.bisect
            return float(search(beyond, mu, mu + reach, args=(level,), xtol=1e-6 * abs(step)))
        reach *= 1.5
    return math.inf if step > 0.0 else -math.inf
