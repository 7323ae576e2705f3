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
from verisimile.core.errors import NumericsError
from verisimile.core.random import Seeds
from verisimile.data.feature import Feature
from verisimile.mixture.discrepancy.bands import feature_bands
from verisimile.mixture.discrepancy.basis import DiscrepancyBasis
from verisimile.mixture.discrepancy.functions import Functions
from verisimile.mixture.discrepancy.posterior import DiscrepancyFit, DiscrepancyRecord
from verisimile.mixture.discrepancy.settings import Discrepancy as Discrepancy
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

_SHAPE = 10_000  # reference events away from all ends that a covariance is taken from
_AT_END = 0.1  # of a function of an end, for an event to lie there
_FIRST = 60  # draws of tau before the exact fit, which needs their size only


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Draws of a mixture ``(R, d)``, with everything that fits to several data sets share.

    Attributes
    ----------
    functions
        (s, phi) of an event.
    x, rows
        The draws, and their functions ``(R, r + P)``.
    some, counts
        Draws that their covariance is taken from, all that lie at an end of a feature and a
        part of the others, and how many draws each stands for.
    """

    functions: Functions
    x: Array
    rows: Array
    some: IntArray
    counts: Array

    @classmethod
    def of(
        cls, law: WeightLaw, features: Sequence[Feature], x: Array, logf: Array, cap: float
    ) -> Reference:
        """Return the reference of draws with log-densities ``(R, M)``."""
        basis = DiscrepancyBasis.of(features, x, mixed_log_density(logf, law.weights))
        functions = Functions(frozen(law.weights), frozen(law.variations), cap, basis)
        return cls.at(functions, x, functions.at(x, logf))

    @classmethod
    def at(cls, functions: Functions, x: Array, rows: Array) -> Reference:
        """Return the reference of draws ``(R, d)`` where functions are known to be `rows`."""
        ends = np.flatnonzero(np.append(functions.basis.stretches, 1.0)[functions.groups] > 1.0)
        outer = (rows[:, ends] > _AT_END).any(axis=1)
        inner = np.flatnonzero(~outer)
        step = max(1, len(inner) // _SHAPE)
        some = np.sort(np.concatenate([np.flatnonzero(outer), inner[::step]]))
        counts = np.where(outer, 1.0, len(inner) / max(1, len(inner[::step])))[some]
        return cls(functions, x, rows, some, counts)

    def covariance(self, rows: Array | None = None, weights: Array | None = None) -> Array:
        """Return the covariance of the functions, under weights of the draws ``(R,)``.

        `rows` are the functions in other units than the reference's own.  Their means need all
        draws, their covariance does not; but a function of the ends would be lost with the few
        draws that see it.
        """
        share = self.counts if weights is None else self.counts * weights[self.some]
        known = self.rows if rows is None else rows
        return covariance_at(known[self.some], share / share.sum())

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

        def shape(at: Tilt, logits: Array) -> Array:
            return self.covariance(at.reference, np.exp(logits))

        found = learn(problem, self.covariance(), shape, self.functions, settings, seeds)
        return self._result(found, events, settings)

    def _result(self, learnt: Learnt, events: float, settings: Discrepancy) -> DiscrepancyFit:
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
            settings=settings,
            record=record,
        )


class Learnt(NamedTuple):
    """Posterior of the coefficients, the exact fit, and the moments about it."""

    posterior: Shrunken
    optimum: TiltOptimum
    about: ExcessMoments


P = TypeVar("P", bound=Tilt)  # a tilt keeps its kind when its units change


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
    *,
    inflation: float = 1.0,
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
    inflation
        Factor of the covariance, for events that are not independent of the members.

    Raises
    ------
    NumericsError
        If the exact fit has no certified optimum.
    """
    u = np.ones(len(x)) if weights is None else weights
    seen = reference.functions.total(x, logf, u) / u.sum()
    found = reference.fit(seen, float(u.sum() ** 2 / (u @ u)), settings, seeds)
    found = replace(found, covariance=frozen(inflation * found.covariance))
    return replace(found, bands=feature_bands(found, reference.x, reference.rows))
