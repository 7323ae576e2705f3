r"""Coefficients of a log density ratio, from two samples, with scales that are integrated over.

.. math:: \log\frac{p(x)}{q(x)} = c + \varphi(x) \cdot b

Given pooled events the label of each is Bernoulli with this logit (Anderson, Biometrika 59 (1972)
19): the likelihood of the labels has the information of both samples, whatever their laws.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from verisimile.core.arrays import Array
from verisimile.core.errors import NumericsError
from verisimile.core.random import Seeds
from verisimile.mixture.discrepancy.functions import Functions
from verisimile.mixture.discrepancy.settings import Discrepancy
from verisimile.mixture.discrepancy.shrinkage import (
    ExcessMoments,
    Shrunken,
    prior_precision,
    shrunken,
)
from verisimile.stats.linalg import solve_rounded

_BLOCK = 4096
_FIRST = 60  # draws of the scales before the exact fit, which needs their size only
_MOST = 60  # Newton steps
_SHORTEST = 1e-6
_TOLERANCE = 1e-6  # of the squared decrement


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One sample: events ``(n, d)``, values of the level ``(n, 1)``, weights ``(n,)``.

    Weights sum to the effective number of events, so that they count as what they are worth.
    """

    x: Array
    level: Array
    weights: Array

    @classmethod
    def of(cls, x: Array, level: Array, weights: Array | None) -> Side:
        """Return a side of events with positive weights, None for equal ones."""
        u = np.ones(len(x)) if weights is None else weights / weights.max()
        return cls(x, level, u * (u.sum() / (u @ u)))

    @property
    def events(self) -> float:
        """Effective number."""
        return float(self.weights.sum())


class _Point(NamedTuple):
    value: float
    gradient: Array
    hessian: Array


class RatioPosterior(NamedTuple):
    """Posterior of the constant and the coefficients ``(1 + P,)``, and how it was reached."""

    posterior: Shrunken
    about: ExcessMoments
    iterations: int
    gap: float


@dataclass(frozen=True, slots=True, eq=False)
class _Labels:
    """Minus the log-likelihood of the labels, with a constant before the functions."""

    functions: Functions
    reference: Side
    generated: Side

    def _blocks(self) -> Iterator[tuple[Array, float, Array]]:
        for side, label in ((self.reference, 1.0), (self.generated, 0.0)):
            for start in range(0, len(side.x), _BLOCK):
                rows = slice(start, start + _BLOCK)
                found = self.functions.at(side.x[rows], side.level[rows])
                yield np.hstack([np.ones((len(found), 1)), found]), label, side.weights[rows]

    def at(self, theta: Array) -> _Point:
        """Return value, gradient and Hessian ``(1 + P,)`` at coefficients."""
        offset = np.log(self.reference.events / self.generated.events)
        value, gradient = 0.0, np.zeros(theta.size)
        hessian = np.zeros((theta.size, theta.size))
        for rows, label, weights in self._blocks():
            logits = rows @ theta + offset
            likely = expit(logits)
            value += float(weights @ (np.logaddexp(0.0, logits) - label * logits))
            gradient += rows.T @ (weights * (likely - label))
            scaled = rows * np.sqrt(weights * likely * (1.0 - likely))[:, None]
            hessian += scaled.T @ scaled
        return _Point(value, gradient, hessian)


def fit_labels(
    functions: Functions, reference: Side, generated: Side, settings: Discrepancy, seeds: Seeds
) -> RatioPosterior:
    """Return the posterior of the coefficients of the log ratio reference / generated.

    Parameters
    ----------
    functions
        phi.
    reference, generated
        The samples.
    settings
        Scale and draws of the groups' scales.
    seeds
        Random streams ``"scales"``.

    Raises
    ------
    NumericsError
        If the fit has no certified optimum.
    """
    problem = _Labels(functions, reference, generated)
    groups = np.concatenate([[-1], functions.groups])
    prior = (groups, settings.scale * functions.basis.stretches)
    here = problem.at(np.zeros(groups.size))
    at_origin = ExcessMoments(-here.gradient, here.hessian, 1.0)
    first = shrunken(at_origin, *prior, draws=_FIRST, rng=seeds.at("scales", 0).numpy())
    precision = prior_precision(np.median(first.scales, axis=0) ** 2, groups)
    theta, best, steps, gap = _minimise(problem, precision, here)
    about = ExcessMoments(best.hessian @ theta - best.gradient, best.hessian, 1.0)
    rng = seeds.at("scales", 1).numpy()
    last = shrunken(about, *prior, draws=settings.draws, rng=rng)
    return RatioPosterior(last, about, steps, gap)


def _minimise(problem: _Labels, precision: Array, here: _Point) -> tuple[Array, _Point, int, float]:
    """Return the penalised optimum by damped Newton steps from zero."""
    theta = np.zeros(precision.size)
    for step in range(_MOST):
        gradient = here.gradient + precision * theta
        hessian = here.hessian + np.diag(precision)
        move = -solve_rounded(hessian, gradient)
        decrement = -float(gradient @ move)
        if decrement < _TOLERANCE:
            return theta, here, step, decrement
        length, value = 1.0, here.value + 0.5 * float(precision @ theta**2)
        while True:
            there = theta + length * move
            point = problem.at(there)
            reached = point.value + 0.5 * float(precision @ there**2)
            if reached <= value - 0.1 * length * decrement or length < _SHORTEST:
                break
            length *= 0.5
        theta, here = there, point
    raise NumericsError(
        "fit of the density ratio",
        got=f"no optimum after {_MOST} steps",
        expected="a certified optimum",
        remedy="More events, or fewer features.",
    )
