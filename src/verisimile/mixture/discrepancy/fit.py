r"""The discrepancy of an ensemble: what its members miss alike, learnt from the events of the fit.

.. math:: p(x; \eta, b) = \hat f(x)\, e^{s(x)\cdot\eta + \varphi(x)\cdot b} / Z(\eta, b)

s are the relative eigen-variations of the weights, phi the functions of a `DiscrepancyBasis`.  The
coefficients b shrink towards zero by groups whose scales are integrated over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import numpy as np
from scipy.special import logsumexp

from verisimile.core.arrays import Array, IntArray, digest, frozen
from verisimile.core.errors import NumericsError, require
from verisimile.core.random import Seeds
from verisimile.data.feature import Feature
from verisimile.mixture.discrepancy.bands import feature_bands
from verisimile.mixture.discrepancy.basis import DiscrepancyBasis
from verisimile.mixture.discrepancy.functions import Functions
from verisimile.mixture.discrepancy.posterior import DiscrepancyFit, DiscrepancyRecord
from verisimile.mixture.discrepancy.shrinkage import FLAT, ExcessMoments, Shrunken, shrunken
from verisimile.mixture.law import WeightLaw
from verisimile.mixture.objective import blocks, mixed_log_density
from verisimile.mixture.solvers.newton import NewtonSolver
from verisimile.mixture.tilt_fit import (
    Tilt,
    TiltCurvature,
    TiltOptimum,
    covariance_at,
    minimise_tilt,
)

_PER_EVENT = 10
_FEWEST, _MOST = 20_000, 200_000
_BYTES = 2**28  # of the functions at the reference events
_SHAPE = 20_000  # reference events that the covariance of the functions is taken from
_FIRST = 60  # draws of tau before the exact fit, which needs their size only


@dataclass(frozen=True, slots=True)
class Discrepancy:
    r"""Settings of the fit of an ensemble's discrepancy.

    Attributes
    ----------
    scale
        s of the half-Cauchy law of the groups' scales: the typical relative error of a density
        along one function, believed before any event is seen; four times that for the groups of
        a feature's ends.
    draws
        Draws of the scales.
    reference
        R, events of the mixture for moments and norm; None for ten times the events, between
        20 000 and 200 000, and fewer where the functions would take more than 256 MiB.
    cap
        Largest relative variation by the weights, as in
        :class:`~verisimile.checks.goodness.alternatives.tilt.ExponentialTilt`.
    solver
        Tolerance and most iterations of the exact fit.

    References
    ----------
    M. Kennedy, A. O'Hagan, J. R. Stat. Soc. B 63 (2001) 425 (model discrepancy);
    D. Nychka, J. Am. Stat. Assoc. 83 (1988) 1134 (coverage of smoothing bands on average).
    """

    scale: float = 0.05
    draws: int = 250
    reference: int | None = None
    cap: float = 2.0
    solver: NewtonSolver = NewtonSolver(tolerance=1e-8)

    def __post_init__(self) -> None:
        good = (
            self.scale > 0
            and self.draws >= 50
            and (self.reference is None or self.reference >= 1000)
            and self.cap > 0
        )
        require(
            good,
            "Discrepancy",
            got=repr(self),
            expected="scale > 0, draws >= 50, reference >= 1000, cap > 0",
        )

    def reference_size(self, events: int, features: int) -> int:
        """Return R for so many events of so many features."""
        if self.reference is not None:
            return self.reference
        wanted = min(max(_PER_EVENT * events, _FEWEST), _MOST)
        functions = 70 * (features + 1) + 13 * features * (features - 1)
        return max(min(wanted, _BYTES // (8 * functions)), _FEWEST)


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Draws of a mixture ``(R, d)``, with everything that fits to several data sets share.

    Attributes
    ----------
    functions
        (s, phi) of an event.
    x, rows
        The draws, and their functions ``(R, r + P)``.
    covariance
        Of the functions under the mixture.
    """

    functions: Functions
    x: Array
    rows: Array
    covariance: Array

    @classmethod
    def of(
        cls, law: WeightLaw, features: Sequence[Feature], x: Array, logf: Array, cap: float
    ) -> Reference:
        """Return the reference of draws with log-densities ``(R, M)``."""
        basis = DiscrepancyBasis.of(features, x, mixed_log_density(logf, law.weights))
        functions = Functions(frozen(law.weights), frozen(law.variations), cap, basis)
        rows = functions.at(x, logf)
        return cls(functions, x, rows, _covariance(rows, np.ones(len(rows))))

    def fit(
        self, seen: Array, events: float, settings: Discrepancy, seeds: Seeds
    ) -> DiscrepancyFit:
        """Return the discrepancy, without its bands, from the means of the functions at events.

        Parameters
        ----------
        seen
            Means of (s, phi) over the events ``(r + P,)``.
        events
            Their effective number.
        settings, seeds
            As for :func:`fit_discrepancy`.

        Raises
        ------
        NumericsError
            If the exact fit has no certified optimum.
        """
        # The moments of the reference are uncertain too.
        n = events * len(self.rows) / (events + len(self.rows))
        size = seen.size
        problem = Tilt(self.rows, n * seen, n, np.zeros(size), np.zeros(size), slice(0, size))
        found = learn(problem, self.covariance, _shape, self.functions, settings, seeds)
        return self._result(found, events)

    def _result(self, learnt: Learnt, events: float) -> DiscrepancyFit:
        last, best, about = learnt
        logits = self.rows @ last.mean
        log_norm = float(logsumexp(logits) - np.log(logits.size))
        share = np.exp(logits - log_norm) / logits.size
        record = DiscrepancyRecord(
            n_events=events,
            reference=len(self.rows),
            n_functions=self.functions.basis.groups.size,
            effective=last.effective,
            evidence=last.evidence(about, self.functions.groups),
            iterations=best.iterations,
            gap=best.gap,
            smallest_log_ratio=float(logits.min()) - log_norm,
            largest_log_ratio=float(logits.max()) - log_norm,
            effective_reference=float(1.0 / (share @ share)),
        )
        return DiscrepancyFit(
            functions=self.functions,
            coefficients=frozen(last.mean),
            covariance=frozen(last.covariance),
            means=frozen(share @ self.rows),
            information=frozen(about.covariance),
            log_norm=log_norm,
            scales=frozen(np.median(last.scales, axis=0)),
            reference=digest(self.x),
            bands=(),
            record=record,
        )


class Learnt(NamedTuple):
    """Posterior of the coefficients, the exact fit, and the moments about it."""

    posterior: Shrunken
    optimum: TiltOptimum
    about: ExcessMoments


P = TypeVar("P", bound=Tilt)


def learn(
    problem: P,
    covariance: Array,
    shape: Callable[[P, Array], Array],
    functions: Functions,
    settings: Discrepancy,
    seeds: Seeds,
) -> Learnt:
    """Return what events say about the coefficients: scales, exact fit at these, scales again.

    Parameters
    ----------
    problem
        Negative log-likelihood of the coefficients ``(r + P,)``, without a prior.
    covariance
        Its curvature at the origin, for one event.
    shape
        From a problem and logits to this curvature there.
    functions
        What the coefficients are of.
    settings, seeds
        As for :func:`fit_discrepancy`.

    Raises
    ------
    NumericsError
        If the exact fit has no certified optimum.
    """
    n, groups = problem.events, functions.groups
    prior = (groups, settings.scale * functions.basis.stretches)
    excess = -problem.at(np.zeros(groups.size)).gradient / n
    at_origin = ExcessMoments(excess, covariance, n)
    first = shrunken(at_origin, *prior, draws=_FIRST, rng=seeds.at("scales", 0).numpy())
    best = _exact(problem, shape, groups, first, settings.solver)
    there = problem.at(best.theta)
    curvature = shape(problem, there.logits)
    # Moments as if from a model that is linear about the optimum.
    about = ExcessMoments(curvature @ best.theta - there.gradient / n, curvature, n)
    last = shrunken(about, *prior, draws=settings.draws, rng=seeds.at("scales", 1).numpy())
    return Learnt(last, best, about)


def _exact(
    problem: P,
    shape: Callable[[P, Array], Array],
    groups: IntArray,
    first: Shrunken,
    solver: NewtonSolver,
) -> TiltOptimum:
    """Return the optimum at the scales found first, in coefficients over their scale."""
    unit, precision = np.ones(groups.size), np.full(groups.size, FLAT)
    held = groups >= 0
    unit[held], precision[held] = np.median(first.scales, axis=0)[groups[held]], 1.0
    scaled = replace(
        problem,
        reference=problem.reference * unit,
        total=problem.total * unit,
        precision=precision,
    )
    # Far from the mixture the linear estimate overshoots: then the fit starts from none.
    start = scaled.at(first.mean / unit)
    if not start.value < 0.0:
        start = scaled.at(np.zeros(groups.size))
    hessian = problem.events * shape(scaled, start.logits) + np.diag(precision)
    near = TiltCurvature.of(hessian, precision, start.logits)
    best = minimise_tilt(scaled, start.theta, near, _reach(scaled), solver)
    if not best.converged:
        raise NumericsError(
            "fit of the discrepancy",
            got=f"no optimum after {best.iterations} iterations",
            expected="a certified optimum",
            remedy="More reference events, or discrepancy=None.",
        )
    return replace(best, theta=best.theta * unit, gap=_gap(scaled, best.theta))


def _shape(problem: Tilt, logits: Array) -> Array:
    return _covariance(problem.reference, np.exp(logits))


def _covariance(rows: Array, weights: Array) -> Array:
    """Return the covariance of functions from some of the rows: only their means need all."""
    some = weights[:_SHAPE]
    return covariance_at(rows[:_SHAPE], some / some.sum())


def _reach(problem: Tilt) -> float:
    r"""Return a bound on :math:`2 \max_r |F_r|_{H^{-1}}`: the Hessian exceeds the precision."""
    largest = 0.0
    for rows in blocks(len(problem.reference)):
        part = problem.reference[rows]
        largest = max(largest, float(((part * part) @ (1.0 / problem.precision)).max()))
    return 2.0 * math.sqrt(largest)


def _gap(problem: Tilt, theta: Array) -> float:
    """Return a bound on how far the objective lies above its minimum.

    That of :func:`~verisimile.mixture.tilt_fit.minimise_tilt`, in the metric of the precision,
    which is below that of any Hessian.
    """
    gradient = problem.at(theta).gradient
    decrement = math.sqrt(float(gradient @ (gradient / problem.precision)))
    x = _reach(problem) * decrement
    return decrement**2 * (-math.log1p(-x) / x if x > 0.0 else 1.0) if x < 1.0 else math.inf


def fit_discrepancy(
    reference: Reference,
    x: Array,
    logf: Array,
    weights: Array | None,
    settings: Discrepancy,
    seeds: Seeds,
) -> DiscrepancyFit:
    """Return the discrepancy of a mixture from the events that its weights were fitted to.

    Parameters
    ----------
    reference
        Draws of the mixture.
    x, logf, weights
        The events ``(n, d)``, their log-densities ``(n, M)`` and weights ``(n,)``.
    settings, seeds
        Random streams ``"scales"``.

    Raises
    ------
    NumericsError
        If the exact fit has no certified optimum.
    """
    u = np.ones(len(x)) if weights is None else weights
    seen = u @ reference.functions.at(x, logf) / u.sum()
    found = reference.fit(seen, float(u.sum() ** 2 / (u @ u)), settings, seeds)
    return replace(found, bands=feature_bands(found, reference.x, reference.rows))
