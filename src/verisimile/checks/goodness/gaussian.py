"""Settings of the linear alternative: Gaussian kernels of zero total mass."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg

from verisimile.checks.goodness.kernels import SCAN, Kernels, Quantiles, Widths, narrowed
from verisimile.checks.goodness.linear import LinearSetup
from verisimile.checks.goodness.null_model import Null
from verisimile.checks.goodness.profile import Basis, Rows
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.mixture.newton import NewtonSolver
from verisimile.mixture.solver import WeightSolver

__all__ = ["GaussianKernels"]


@dataclass(frozen=True, slots=True)
class GaussianKernels:
    r"""Settings of the alternative :math:`p_1 = p_0 + \sum_k a_k k_k(x)`, :math:`\sum_k a_k = 0`.

    Attributes
    ----------
    count
        K, number of kernels.  More of them spread the test over more directions
        and cost power against each: see the power study.
    width
        Standard deviation of the kernels in normal scores: coordinates in which
        each feature of the model is about N(0, 1).  A tuple, or
        :class:`~verisimile.checks.goodness.kernels.Quantiles` of the distances
        between reference events, gives each width an equal share of the
        kernels.  The default takes 0.3 and 0.75 up to three features, and about
        0.35 and 0.75 for four.  One narrow width is blind in many dimensions,
        one wide width is blind to narrow defects; :meth:`scan` tests them one by one.
    reference
        R, events drawn once from the model; centres are the first K of them.
    probes
        Events drawn from each kernel.  They join the reference events as
        barrier: where a kernel reaches beyond the model, only they keep the
        alternative positive.
    reach
        A kernel is narrowed until, at all its probes, kernel over model is at
        most this factor above its value at the centre.  Otherwise a wide kernel
        beside an edge of phase space has its mass where no event can be.
    barrier
        Weight of each barrier event in both fits: without them a kernel can run
        to minus infinity where no test event lies.
    ridge
        Quadratic penalty on the whitened kernel coefficients, in both fits.
    truncation
        Kernel directions whose relative variance under the model is below this
        fraction of the largest are dropped: they only add noise.
    solver
        Newton settings of both fits.

    References
    ----------
    G. Badaracco et al., sec. 2 step 4 (100 kernels of width 0.05).
    """

    count: int = 40
    width: Widths = Quantiles()
    reference: int = 2000
    probes: int = 10
    reach: float = 100.0
    barrier: float = 0.01
    ridge: float = 0.0
    truncation: float = 1e-6
    solver: WeightSolver = NewtonSolver()

    def __post_init__(self) -> None:
        widths = _numbers(self.width)
        good = (
            self.count >= 2
            and self.reference >= self.count
            and (len(widths) > 0 or isinstance(self.width, Quantiles))
            and all(w > 0 for w in widths)
            and self.probes >= 1
            and self.reach >= 1
            and self.barrier > 0
            and self.ridge >= 0
            and 0 < self.truncation < 1
        )
        if not good:
            raise InputError(
                "GaussianKernels",
                got=repr(self),
                expected="count >= 2, reference >= count, width > 0, probes >= 1, reach >= 1, "
                "barrier > 0, ridge >= 0, 0 < truncation < 1",
            )

    @property
    def name(self) -> str:
        """Name that is recorded with the statistic."""
        if isinstance(self.width, Quantiles):
            shown = " and ".join(f"{100 * q:g} %" for q in self.width.of_distances)
            return f"{self.count} Gaussian kernels, widths at {shown} of distances"
        shown = ", ".join(f"{w:g}" for w in _numbers(self.width))
        return f"{self.count} Gaussian kernels of width {shown}"

    def scan(self, *quantiles: float) -> tuple[GaussianKernels, ...]:
        """Return one alternative per quantile of distances, to be combined by their smallest p.

        More power than one alternative of all widths where a single width
        sees the deviation, at the price of a correction for the others.
        """
        return tuple(replace(self, width=Quantiles((q,))) for q in quantiles or SCAN)

    def prepare(self, run: Run, null: Null, *, events: int) -> LinearSetup:  # noqa: ARG002
        r"""Draw reference events from the model, place the kernels, and fix the basis.

        Kernel directions are the zero-sum combinations whose variance relative to
        the model, :math:`E_{\hat f}[(k V / \hat f)^2]`, is not negligible; they are
        scaled to unit variance, so that the fit is well conditioned whatever the
        width and overlap of the kernels.
        """
        rng = run.seeds.at("reference").numpy()
        drawn = null.sample(np.zeros(null.variations.shape[1]), self.reference, rng)
        reference = Events(drawn.x, features=null.features)
        wide = Kernels.at(reference, self.count, self.width, self.probes, rng)
        kernels = narrowed(wide, null.log_prob, self.reach)
        logk = kernels.log_density(drawn.x)
        directions = _directions(drawn.log_densities, logk, null.weights, self.truncation)
        basis = Basis(null.weights, null.variations, directions, self.ridge)
        probes = _probes(null, kernels)
        return LinearSetup(
            null=null,
            basis=basis,
            kernels=kernels,
            barrier=Rows.of(drawn.log_densities, logk, basis).joined(
                Rows.of(null.log_densities(probes), kernels.log_density(probes), basis)
            ),
            barrier_weight=self.barrier,
            solver=self.solver,
        )


def _numbers(width: Widths) -> tuple[float, ...]:
    if isinstance(width, Quantiles):
        return ()
    return width if isinstance(width, tuple) else (width,)


def _probes(null: Null, kernels: Kernels) -> Array:
    """Return the kernels' own events at which some member has a density, ``(R', d)``."""
    x = kernels.probe_events()
    return np.asarray(x[null.log_densities(x).max(axis=1) > -np.inf])


def _directions(logf: Array, logk: Array, weights: Array, truncation: float) -> Array:
    """Return zero-sum directions ``(K, v)`` of unit relative variance under the model."""
    top = logf.max(axis=1)[:, None]
    density = np.exp(logf - top) @ weights
    relative = np.exp(logk - top) / density[:, None]
    # A narrow kernel in the tail varies a million times more than one in the
    # core: compare shapes, not sizes.  The zero-sum rule then reads 1/size . b = 0.
    size = np.sqrt((relative * relative).mean(axis=0))
    zero_sum = linalg.null_space((1.0 / size)[None, :])
    projected = (relative / size) @ zero_sum
    values, vectors = linalg.eigh(projected.T @ projected / logf.shape[0])
    keep = values > truncation * values[-1]
    return np.ascontiguousarray(
        (zero_sum @ (vectors[:, keep] / np.sqrt(values[keep]))) / size[:, None]
    )
