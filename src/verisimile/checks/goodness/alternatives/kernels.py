"""The linear alternative: Gaussian kernels of zero total mass are added to the mixture."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import linalg
from scipy.spatial.distance import pdist

from verisimile.checks.goodness.null import Null
from verisimile.checks.goodness.profile import (
    Basis,
    BasisDensities,
    Hypothesis,
    Profile,
    profile_ratio,
)
from verisimile.core.arrays import Array, digest, frozen
from verisimile.core.canonical import JSON
from verisimile.core.errors import require
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.density.input_map import InputMap
from verisimile.mixture.solvers.newton import NewtonSolver
from verisimile.mixture.solvers.protocol import WeightSolver

if TYPE_CHECKING:
    from verisimile.checks.goodness.search import Fits

# Floors of the widths at two quantiles of distances, with a power law between: in few
# features the quantiles alone leave kernels nearly empty.  Chosen by power, docs/calibrated.md.
_QUANTILES = (0.0005, 0.01)
_FLOORS = (0.3, 0.75)
SCAN = (0.0005, 0.01, 0.1)  # quantiles of distances whose widths are tested one by one
_AUTO_EVENTS = 500
# Wider, a kernel has mass where the model has none, and in one feature the fit then runs
# away in the tails: t of true models reaches several times its degrees of freedom.
_AUTO_WIDEST = 0.8
_SCORE_BINS = 32
_NARROWER = 0.8
_NARROWINGS = 30
_BLOCK = 1024  # events at a time: all kernels at them stay in the cache


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Kernel widths as quantiles of the distances between events of the model.

    At least 0.3 at the 0.05 % quantile, rising to 0.75 at 1 %, which only matters
    up to three features; at most 0.8.
    """

    of_distances: tuple[float, ...] = _QUANTILES

    def __post_init__(self) -> None:
        good = self.of_distances and all(0 < q < 1 for q in self.of_distances)
        require(good, "Quantiles", got=repr(self), expected="probabilities between 0 and 1")


Widths = float | tuple[float, ...] | Quantiles


@dataclass(frozen=True, slots=True, eq=False)
class Kernels:
    r"""Placed kernels: normalised densities in original units.

    .. math:: k_k(x) = \mathcal N(T(x); c_k, h_k^2 I)\, |\partial T / \partial x|

    Attributes
    ----------
    transform
        T, from the features' support to normal scores.
    centres, widths
        ``(K, d)`` and ``(K,)``, in these coordinates.
    probes
        P standard normal draws per kernel ``(K, P, d)``, see :meth:`probe_events`.
    """

    transform: InputMap
    centres: Array
    widths: Array
    probes: Array

    @classmethod
    def at(
        cls,
        reference: Events,
        count: int,
        width: Widths,
        probes: int,
        rng: np.random.Generator,
    ) -> Kernels:
        """Return kernels centred on the first `count` of reference events, with `probes` each.

        Several widths take equal shares of the kernels.
        """
        transform = InputMap.fit(reference, _SCORE_BINS)
        y, _ = transform.forward(reference.x)
        widths = kernel_widths(y, width)
        share = np.array([widths[k % len(widths)] for k in range(count)])
        draws = rng.standard_normal((count, probes, y.shape[1]))
        return cls(transform, frozen(y[:count]), frozen(share), draws)

    @property
    def digest(self) -> str:
        """Content key of centres and widths."""
        return digest(self.centres, self.widths)

    def log_density(self, x: Array) -> Array:
        """Return the kernels' natural log-densities ``(n, K)`` at events ``(n, d)``."""
        y, jacobian = self.transform.forward(x)
        d = self.centres.shape[1]
        log, sizes = self._exponents(y), d * np.log(self.widths)
        for start in range(0, len(y), _BLOCK):
            rows = slice(start, start + _BLOCK)
            log[rows] += jacobian[rows, None] - sizes - 0.5 * d * math.log(2.0 * math.pi)
        return log

    def bumps(self, x: Array) -> Array:
        r"""Return :math:`e^{-|T(x) - c_k|^2 / 2 h_k^2}`, no densities, at events, ``(n, K)``."""
        exponents = self._exponents(self.transform.forward(x)[0])
        with np.errstate(under="ignore"):
            return np.asarray(np.exp(exponents, out=exponents))

    def probe_events(self) -> Array:
        """Return the kernels' own events ``(K P, d)`` in original units."""
        y = self.centres[:, None, :] + self.widths[:, None, None] * self.probes
        return self.transform.inverse(y.reshape(-1, y.shape[2]))

    def overreach(self, log_prob: Callable[[Array], Array]) -> Array:
        r"""Return how far kernel over model rises from the centre to the probes, ``(K,)``.

        .. math:: \max_z \log \frac{k(z)}{\hat f(z)} - \log \frac{k(c)}{\hat f(c)}
        """
        k, count, _ = self.probes.shape
        at_probes = self._log_ratio(self.probe_events(), count, log_prob)
        at_centres = self._log_ratio(self.transform.inverse(self.centres), 1, log_prob)
        return np.asarray((at_probes - at_centres).reshape(k, count).max(axis=1))

    def _exponents(self, y: Array) -> Array:
        own, scale = (self.centres * self.centres).sum(axis=1), -0.5 / self.widths**2
        out = np.empty((len(y), self.widths.size))
        for start in range(0, len(y), _BLOCK):
            part, square = y[start : start + _BLOCK], out[start : start + _BLOCK]
            np.matmul(part, self.centres.T, out=square)
            square *= -2.0
            square += (part * part).sum(axis=1)[:, None]
            square += own
            np.maximum(square, 0.0, out=square)
            square *= scale
        return out

    def _log_ratio(self, x: Array, each: int, log_prob: Callable[[Array], Array]) -> Array:
        """Return log(k / f) of each kernel at its own `each` events, ``(K, each)``."""
        y, jacobian = self.transform.forward(x)
        shaped = y.reshape(self.widths.size, each, -1)
        pulls = (shaped - self.centres[:, None, :]) / self.widths[:, None, None]
        own = -0.5 * (pulls * pulls).sum(axis=2) + jacobian.reshape(-1, each)
        return np.asarray(own - log_prob(x).reshape(-1, each))


def kernel_widths(y: Array, width: Widths) -> tuple[float, ...]:
    """Return the widths that share the kernels, from events ``(R, d)`` in normal scores."""
    if not isinstance(width, Quantiles):
        return width if isinstance(width, tuple) else (width,)
    found = np.quantile(pdist(y[:_AUTO_EVENTS]), width.of_distances)
    power = math.log(_FLOORS[1] / _FLOORS[0]) / math.log(_QUANTILES[1] / _QUANTILES[0])
    floors = _FLOORS[0] * (np.array(width.of_distances) / _QUANTILES[0]) ** power
    return tuple(float(q) for q in np.clip(found, np.minimum(floors, _AUTO_WIDEST), _AUTO_WIDEST))


def narrow(kernels: Kernels, log_prob: Callable[[Array], Array], reach: float) -> Kernels:
    """Return kernels narrow enough that kernel over model rises at most `reach` from the centre."""
    for _ in range(_NARROWINGS):
        wide = ~(kernels.overreach(log_prob) <= math.log(reach))
        if not wide.any():
            break
        share = np.where(wide, kernels.widths * _NARROWER, kernels.widths)
        kernels = replace(kernels, widths=frozen(share))
    return kernels


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
        each feature of the model is about N(0, 1).  A tuple, or :class:`Quantiles` of the
        distances between reference events, gives each width an equal share of the kernels.
        The default takes 0.3 and 0.75 up to three features, and about 0.35 and 0.75 for
        four.  One narrow width is blind in many dimensions, one wide width is blind to
        narrow defects; :meth:`scan` tests them one by one.
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

    Examples
    --------
    >>> import verisimile as vs
    >>> len(vs.GaussianKernels(count=40).scan())
    3
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
        require(
            good,
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
        kernels = narrow(wide, null.log_prob, self.reach)
        logk = kernels.log_density(drawn.x)
        directions = _directions(drawn.log_densities, logk, null.weights, self.truncation)
        basis = Basis(null.weights, null.variations, directions, self.ridge)
        probes = kernels.probe_events()
        probes = probes[null.log_densities(probes).max(axis=1) > -np.inf]
        barrier = BasisDensities.of(drawn.log_densities, logk, basis).joined(
            BasisDensities.of(null.log_densities(probes), kernels.log_density(probes), basis)
        )
        return LinearSetup(null, basis, kernels, barrier, self.barrier, self.solver)


def _numbers(width: Widths) -> tuple[float, ...]:
    if isinstance(width, Quantiles):
        return ()
    return width if isinstance(width, tuple) else (width,)


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


@dataclass(frozen=True, slots=True, eq=False)
class LinearSetup:
    r"""Basis, kernels and barrier of :math:`p_1 = p_0 + \sum_k a_k k_k`, :math:`\sum_k a_k = 0`.

    The barrier are the reference events and the kernels' own events, each of `barrier_weight`.
    """

    null: Null
    basis: Basis
    kernels: Kernels
    barrier: BasisDensities
    barrier_weight: float
    solver: WeightSolver

    @property
    def rank(self) -> int:
        """Independent kernel directions."""
        return int(self.basis.directions.shape[1])

    def identity(self) -> dict[str, JSON]:
        """Return what, beside the null model, determines the statistic of a toy."""
        return {
            "alternative": "linear",
            "directions": digest(self.basis.directions),
            "barrier": digest(self.barrier.base, self.barrier.design),
            "barrier_weight": self.barrier_weight,
            "ridge": self.basis.ridge,
            "kernels": self.kernels.digest,
            "solver": repr(self.solver),
        }

    def observe(self, x: Array, logf: Array) -> LinearFits:
        """Return the fits to events ``(n, d)`` of known log-densities ``(n, M)``."""
        rows = BasisDensities.of(logf, self.kernels.log_density(x), self.basis)
        return LinearFits(self, x, logf, rows)

    def observe_beside(self, fits: Fits) -> LinearFits | None:
        """Return the same data set as another placement's fits see it: only kernels differ."""
        if not (isinstance(fits, LinearFits) and fits.setup.basis.same_mixture(self.basis)):
            return None
        logk = self.kernels.log_density(fits.x)
        rows = BasisDensities.of(fits.logf, logk, self.basis, beside=fits.rows)
        return LinearFits(self, fits.x, fits.logf, rows)

    def coefficients(self, profile: Profile) -> Array:
        """Return the fitted mass moved into each kernel, ``(K,)``."""
        return np.asarray(self.basis.directions @ profile.amplitudes)


@dataclass(frozen=True, slots=True, eq=False)
class LinearFits:
    """One data set ``(n, d)`` of log-densities ``(n, M)``, in the coordinates of the basis."""

    setup: LinearSetup
    x: Array
    logf: Array
    rows: BasisDensities

    @property
    def capped(self) -> int:
        """Events whose kernel densities had to be scaled down."""
        return self.rows.capped

    def profile(self, hypothesis: Hypothesis, centre: Array) -> Profile:
        """Fit null and alternative: see :func:`profile_ratio`."""
        setup = self.setup
        return profile_ratio(
            self.rows,
            setup.barrier,
            setup.barrier_weight,
            setup.basis,
            hypothesis=hypothesis,
            centre=centre,
            solver=setup.solver,
        )

    def relative(self, profile: Profile) -> tuple[Array, Array]:
        r"""Return :math:`p_0/\hat f` and :math:`p_1/\hat f`, NaN where f-hat is not positive."""
        rank = self.setup.basis.variations.shape[1]
        varied, kernels = self.rows.design[:, :rank], self.rows.design[:, rank:]
        null = self.rows.base + varied @ profile.null
        alternative = self.rows.base + varied @ profile.alternative + kernels @ profile.amplitudes
        base = np.where(self.rows.base > 0.0, self.rows.base, np.nan)
        return null / base, alternative / base
