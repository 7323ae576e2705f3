"""An exponential tilt placed on a null model: its features, reference sample and fits."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np

from verisimile.checks.goodness.kernels import Kernels
from verisimile.checks.goodness.null_model import Null
from verisimile.checks.goodness.profile import Hypothesis, Profile
from verisimile.checks.goodness.tilt_features import TiltFeatures
from verisimile.checks.goodness.tilt_fit import Curvature, TiltOptimum, minimise_tilt
from verisimile.checks.goodness.tilt_problem import Tilt, covariance_at, log_partition
from verisimile.core.arrays import Array, digest
from verisimile.core.canonical import JSON
from verisimile.mixture.newton import NewtonSolver
from verisimile.mixture.objective import mixed_log_density

__all__ = ["TiltFits", "TiltSetup"]


@dataclass(frozen=True, slots=True, eq=False)
class TiltSetup:
    """Everything of the test that is fixed before the test sample is seen.

    Attributes
    ----------
    features
        F.
    reference
        F at the reference events ``(R, r + v)``.
    covariance
        Of F there, ``(r + v, r + v)``.
    reaches
        rho of the fits, by the slices of free parameters that occur.
    events
        n, for which `reaches` hold.
    ridge
        Quadratic penalty on b.
    solver
        Newton settings.
    """

    features: TiltFeatures
    reference: Array
    covariance: Array
    reaches: tuple[float, float, float]
    events: int
    ridge: float
    solver: NewtonSolver

    @classmethod
    def of(
        cls,
        features: TiltFeatures,
        reference: Array,
        *,
        events: int,
        ridge: float,
        solver: NewtonSolver,
    ) -> TiltSetup:
        """Return the setup for samples of `events` events."""
        r = reference.shape[0]
        covariance = covariance_at(reference, np.full(r, 1.0 / r))
        bare = cls(features, reference, covariance, (0.0, 0.0, 0.0), events, ridge, solver)
        weights, kernels, both = (
            bare.origin(free, events).reach(reference[:, free]) for free in bare.slices
        )
        return cls(features, reference, covariance, (weights, kernels, both), events, ridge, solver)

    @property
    def null(self) -> Null:
        """The model under test."""
        return self.features.null

    @property
    def kernels(self) -> Kernels:
        """Placed kernels."""
        return self.features.kernels

    @property
    def rank(self) -> int:
        """Independent directions of the alternative."""
        return int(self.features.directions.shape[1])

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Parameters of the weights, of the kernels, and of both."""
        r, p = self.features.rank, self.reference.shape[1]
        return slice(0, r), slice(r, p), slice(0, p)

    @property
    def precision(self) -> Array:
        """Quadratic penalties on eta and b ``(r + v,)``."""
        return np.concatenate([np.ones(self.features.rank), np.full(self.rank, self.ridge)])

    def origin(self, free: slice, events: int) -> Curvature:
        """Return the Hessian of `events` events at no tilt, along some parameters."""
        hessian = events * self.covariance[free, free] + np.diag(self.precision[free])
        return Curvature.of(hessian, self.precision[free])

    def reach(self, free: slice, events: int) -> float:
        """Return rho of a fit to `events` events; fewer than planned can only lengthen it."""
        reach = self.reaches[self.slices.index(free)]
        return reach / math.sqrt(min(1.0, events / self.events))

    def identity(self) -> dict[str, JSON]:
        """Return what, beside the null model, determines the statistic of a toy."""
        return {
            "alternative": "tilt",
            "kernels": self.kernels.digest,
            "features": digest(self.features.directions, self.features.means),
            "reference": digest(self.reference),
            "cap": self.features.cap,
            "ridge": self.ridge,
            "solver": repr(asdict(self.solver)),
        }

    def observe(self, x: Array, logf: Array) -> TiltFits:
        """Return one data set ``(n, d)`` with known log-densities ``(n, M)``."""
        rows, capped = self.features.at(x, logf)
        return TiltFits(self, x, logf, rows.sum(axis=0), capped)

    def log_ratio(self, rows: Array, theta: Array) -> Array:
        r"""Return :math:`\log p_\theta / \hat f` at events with features `rows`, ``(n,)``."""
        return rows @ theta - log_partition(self.reference, theta)

    def coefficients(self, profile: Profile) -> Array:
        """Return the fitted coefficients of the bumps ``(K,)``."""
        return self.features.directions @ profile.amplitudes


@dataclass(frozen=True, slots=True, eq=False)
class TiltFits:
    """One data set.  Its fits see it only through `total`, the sums of its features.

    Attributes
    ----------
    setup
        What was fixed before.
    x, logf
        Events ``(n, d)`` and log-densities ``(n, M)``, kept to evaluate the fitted ratio.
    total
        T ``(r + v,)``.
    capped
        Events at which the variations were capped.
    """

    setup: TiltSetup
    x: Array
    logf: Array
    total: Array
    capped: int

    def profile(self, hypothesis: Hypothesis, centre: Array) -> Profile:
        """Return both fits, weights profiled under their constraint or frozen at its centre."""
        weights, kernels, both = self.setup.slices
        start = np.concatenate([centre, np.zeros(self.setup.rank)])
        null = self._fit(weights, start, centre) if hypothesis.free else None
        full = self._fit(
            both if hypothesis.free else kernels, start if null is None else null.theta, centre
        )
        fits = [fit for fit in (null, full) if fit is not None]
        rank = centre.size
        return Profile(
            statistic=_statistic(full) if all(fit.converged for fit in fits) else math.nan,
            gap=2.0 * sum(fit.gap for fit in fits),
            null=centre if null is None else null.theta[:rank],
            alternative=full.theta[:rank],
            amplitudes=full.theta[rank:],
            iterations=sum(fit.iterations for fit in fits),
        )

    def relative(self, profile: Profile) -> tuple[Array, Array]:
        r"""Return :math:`p_0/\hat f` and :math:`p_1/\hat f`, NaN where f-hat is not positive."""
        setup = self.setup
        rows, _ = setup.features.at(self.x, self.logf)
        possible = np.isfinite(mixed_log_density(self.logf, setup.null.weights))
        rows[~possible] = np.nan
        null = np.concatenate([profile.null, np.zeros(setup.rank)])
        full = np.concatenate([profile.alternative, profile.amplitudes])
        return np.exp(setup.log_ratio(rows, null)), np.exp(setup.log_ratio(rows, full))

    def _fit(self, free: slice, start: Array, centre: Array) -> TiltOptimum:
        setup, n = self.setup, self.x.shape[0]
        problem = Tilt(
            reference=setup.reference,
            total=self.total,
            events=n,
            precision=setup.precision,
            centre=np.concatenate([centre, np.zeros(setup.rank)]),
            free=free,
        )
        return minimise_tilt(
            problem, start, setup.origin(free, n), setup.reach(free, n), setup.solver
        )


def _statistic(full: TiltOptimum) -> float:
    # The fit starts at the null's optimum: a rise beyond it is rounding.
    return 2.0 * max(0.0, full.first - full.value)
