r"""The strength of a signal above templates, by the profile likelihood.

.. math:: -\ln L(\mu, \alpha, \gamma) = \sum_b (\lambda_b - n_b \ln \lambda_b)
          + \tfrac12 |\alpha|^2 + \tfrac12 \sum_b \frac{(\gamma_b - 1)^2}{\delta_b^2}, \qquad
          \lambda_b = \mu s_b + \gamma_b \Big(h_b + \sum_k \alpha_k v_{kb}\Big)

with delta the relative statistical errors of the templates: the model that pyhf makes of
:meth:`~verisimile.mixture.templates.Templates.to_pyhf`.
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
from verisimile.mixture.templates import Templates

_MOST = 200
_TOLERANCE = 1e-10
_SHORTEST = 1e-10
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
        if not (expected > 0.0).all():
            return math.inf
        k = len(self.variations)
        poisson = float((expected - self.observed * np.log(expected)).sum())
        pulls = (gamma[free] - 1.0) / self.relative[free]
        return poisson + 0.5 * float(theta[:k] @ theta[:k]) + 0.5 * float(pulls @ pulls)

    def curved(self, mu: float, theta: Array) -> tuple[Array, Array]:
        """Return gradient and Hessian along (mu, alpha, gamma)."""
        expected, shape, gamma, free = self.parts(mu, theta)
        k, g = len(self.variations), np.flatnonzero(free)
        along = np.zeros((1 + theta.size, self.nominal.size))
        along[0], along[1 : 1 + k] = self.signal, self.variations * gamma
        along[1 + k + np.arange(g.size), g] = shape[g]
        slope = 1.0 - self.observed / expected
        gradient = along @ slope
        hessian = (along * (self.observed / expected**2)) @ along.T
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
        If they have another number of bins, or the signal is zero.
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
    relative = templates.statistical / templates.nominal
    problem = _Likelihood(s, n, templates.nominal, templates.variations, relative)
    rest = np.zeros(len(templates.variations) + int((relative > 0.0).sum()))
    rest[len(templates.variations) :] = 1.0
    mu, theta, best, hessian = problem.minimum(0.0, rest, fixed=False)
    error = math.sqrt(float(linalg.inv(hessian)[0, 0]))

    def beyond(at: float, level: float) -> float:
        return 2.0 * (problem.minimum(at, theta, fixed=True)[2] - best) - level

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
        if beyond(mu + reach, level) > 0.0:
            return float(
                optimize.brentq(beyond, mu, mu + reach, args=(level,), xtol=1e-6 * abs(step))
            )
        reach *= 1.5
    return math.inf if step > 0.0 else -math.inf
