"""The exponential-family alternative: always positive, jointly convex, without a barrier."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy import linalg
from scipy.spatial.distance import pdist

from verisimile.checks.goodness.alternatives.kernels import SCAN, Kernels, Quantiles, Widths
from verisimile.checks.goodness.null import Null
from verisimile.checks.goodness.profile import Hypothesis, Profile
from verisimile.checks.goodness.search import Fits
from verisimile.core.arrays import Array, digest, frozen
from verisimile.core.canonical import JSON
from verisimile.core.errors import NumericsError, require
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.density.input_map import InputMap
from verisimile.mixture.objective import blocks, capped_variations, mixed_log_density
from verisimile.mixture.solvers.newton import NewtonSolver
from verisimile.mixture.tilt_fit import (
    Tilt,
    TiltCurvature,
    TiltOptimum,
    covariance_at,
    log_partition,
    minimise_tilts,
)

_PER_EVENT = 10
_FEWEST, _MOST = 10_000, 1_000_000
_QUANTILES, _OF_QUANTILES = (0.0005, 0.5), np.array([1.0, 0.7])
_NARROWEST = (0.3, 1.0)
_AUTO_EVENTS = 500
_SCORE_BINS = 32


@dataclass(frozen=True, slots=True)
class ExponentialTilt:
    r"""Settings of the alternative :math:`p_1 = \hat f e^{s \cdot \eta + k \cdot b} / Z`.

    s are the relative eigen-variations :math:`B/\hat f` and k Gaussian bumps :math:`e^{-|y - c|^2
    / 2 h^2}` in normal scores y; the null has b = 0.  Z is a mean over reference events of
    :math:`\hat f`, the same in both hypotheses and in every toy.  To first order in the deviation
    it is the linear alternative; beyond, it is positive for all parameters and needs no barrier.

    Attributes
    ----------
    count
        K, number of bumps; 0 for none.
    width
        Their standard deviation in normal scores.  A tuple gives each width an equal share of the
        bumps; None takes the 0.05 % quantile of the distances between events of the model, at
        least 0.3, and 0.7 of their median, at least 1: about 0.3 and 1.2 for two features, 0.35
        and 1.8 for four.  Wide bumps see the whole, narrow ones a part; both were the best
        compromise of a power study, and forty had more power than a hundred.
    reference
        R, events for Z, or None for ten times the test sample, at least 10 000 and, unless the
        sample is larger, at most a million.  Its noise adds n/R to t, alike in data and toys.
        The features of the reference take 8 R (r + K) bytes.
    ridge
        Quadratic penalty on the whitened coefficients b in both fits.  The data's information on
        them is n, so that one is nothing; but with none at all, data beyond the reference would
        have no finite optimum.
    truncation
        Combinations of bumps with less than this share of the largest variance are dropped.
    cap
        Largest ``|s|``: variations are held there where f is less certain or not positive.
    solver
        Tolerance and most iterations of both fits.

    References
    ----------
    A. Barron, C. Sheu, Ann. Statist. 19 (1991) 1347 (exponential families as alternatives);
    J. Neyman, Skand. Aktuarietidskr. 20 (1937) 149 (smooth tests).

    Examples
    --------
    >>> ExponentialTilt().name
    'exponential tilt along 40 bumps, widths from distances'
    """

    count: int = 40
    width: Widths | None = None
    reference: int | None = None
    ridge: float = 1.0
    truncation: float = 1e-6
    cap: float = 2.0
    solver: NewtonSolver = NewtonSolver()

    def __post_init__(self) -> None:
        widths = self.width if isinstance(self.width, tuple) else (self.width,)
        good = (
            self.count >= 0
            and len(widths) > 0
            and all(w is None or isinstance(w, Quantiles) or w > 0 for w in widths)
            and (self.reference is None or self.reference >= 1000)
            and self.ridge >= 0
            and 0 < self.truncation < 1
            and self.cap > 0
        )
        require(
            good,
            "ExponentialTilt",
            got=repr(self),
            expected="count >= 0, width > 0, reference >= 1000, ridge >= 0, "
            "0 < truncation < 1, cap > 0",
        )

    @property
    def name(self) -> str:
        """Name that is recorded with the statistic."""
        if self.width is None or isinstance(self.width, Quantiles):
            shown = "widths from distances"
        else:
            widths = self.width if isinstance(self.width, tuple) else (self.width,)
            shown = "width " + ", ".join(f"{w:g}" for w in widths)
        return f"exponential tilt along {self.count} bumps, {shown}"

    def scan(self, *quantiles: float) -> tuple[ExponentialTilt, ...]:
        """Return one alternative per quantile of distances, to be combined by their smallest p."""
        return tuple(replace(self, width=Quantiles((q,))) for q in quantiles or SCAN)

    def prepare(self, run: Run, null: Null, *, events: int) -> TiltSetup:
        """Draw the reference, place the bumps, and compute what all fits share.

        Centres are events of the model that are not in the reference: a bump on
        a reference event would find itself over-populated there.
        """
        return self.prepare_several(run, null, events=events, placements=1)[0]

    def prepare_several(
        self, run: Run, null: Null, *, events: int, placements: int
    ) -> tuple[TiltSetup, ...]:
        """Place the bumps several times on one reference, whose densities are the dear part."""
        size = self.reference or max(min(_PER_EVENT * events, _MOST), _FEWEST, events)
        x, logf = null.kept(run, size)
        first = self._placed(Events(x, features=null.features), run, null)
        # Without bumps there is nothing to place again.
        others = [
            self._elsewhere(first, run.at("placement", j), null)
            for j in range(1, placements if self.count else 1)
        ]
        # All placements have the same variations at the reference.
        varied, _ = capped_variations(logf, null.weights, null.variations, self.cap)
        return tuple(self._on(null, kernels, x, varied, events) for kernels in (first, *others))

    def _placed(self, model: Events, run: Run, null: Null) -> Kernels:
        """Return kernels in the normal scores of the model's events, at other ones."""
        rng = run.seeds.at("reference", "exponential-tilt").numpy()
        bare = Kernels.at(model, self.count, self._widths(model), 0, rng)
        return self._elsewhere(bare, run.at("reference"), null)

    def _elsewhere(self, kernels: Kernels, run: Run, null: Null) -> Kernels:
        """Return the same kernels at other events of the model."""
        rng = run.seeds.at("exponential-tilt").numpy()
        drawn = null.sample(np.zeros(null.variations.shape[1]), self.count, rng)
        centres, _ = kernels.transform.forward(drawn.x)
        return replace(kernels, centres=frozen(centres))

    def _on(self, null: Null, kernels: Kernels, x: Array, varied: Array, events: int) -> TiltSetup:
        bumps = kernels.bumps(x)
        directions = bump_directions(bumps, self.truncation)
        means = bumps.mean(axis=0) @ directions
        features = TiltFeatures(null, kernels, directions, self.cap, means)
        rows = np.concatenate([varied, features.bumps_at(x)], axis=1)
        return TiltSetup.of(features, rows, events=events, ridge=self.ridge, solver=self.solver)

    def _widths(self, model: Events) -> Widths:
        if self.width is not None:
            return self.width
        y, _ = InputMap.fit(model, _SCORE_BINS).forward(model.x[:_AUTO_EVENTS])
        found = _OF_QUANTILES * np.quantile(pdist(y), _QUANTILES)
        return tuple(float(width) for width in np.maximum(found, _NARROWEST))


@dataclass(frozen=True, slots=True, eq=False)
class TiltSetup:
    """Everything of the test that is fixed before the test sample is seen.

    Attributes
    ----------
    features, reference, covariance
        F, its values at the reference events ``(R, r + v)``, and their covariance.
    reaches, events
        rho of the fits to n events, by the slices of free parameters that occur.
    ridge, solver
        Of :class:`ExponentialTilt`.
    common
        Content key of all that a fit of the null has to do with: placements on one reference
        share it.
    """

    features: TiltFeatures
    reference: Array
    covariance: Array
    reaches: tuple[float, float, float]
    events: int
    ridge: float
    solver: NewtonSolver
    common: str

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
        known = np.array([features.cap, events])
        common = digest(reference[:, : features.rank], known) + repr(asdict(solver))
        bare = cls(features, reference, covariance, (0.0, 0.0, 0.0), events, ridge, solver, common)
        weights, kernels, both = (
            bare.origin(free, events).reach(reference[:, free]) for free in bare.slices
        )
        return replace(bare, reaches=(weights, kernels, both))

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

    def origin(self, free: slice, events: int) -> TiltCurvature:
        """Return the Hessian of `events` events at no tilt, along some parameters."""
        hessian = events * self.covariance[free, free] + np.diag(self.precision[free])
        return TiltCurvature.of(hessian, self.precision[free])

    def reach(self, free: slice, events: int) -> float:
        """Return rho of a fit to `events` events; fewer than planned can only lengthen it."""
        reach = self.reaches[self.slices.index(free)]
        return reach / math.sqrt(min(1.0, events / self.events))

    def minima(
        self, problems: Sequence[Tilt], free: slice, starts: Sequence[Array]
    ) -> list[TiltOptimum | NumericsError]:
        """Fit some of the parameters to data sets of one size."""
        n = int(problems[0].events)
        chosen = [replace(problem, free=free) for problem in problems]
        origin, reach = self.origin(free, n), self.reach(free, n)
        return minimise_tilts(chosen, starts, origin, reach, self.solver)

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
        parts = (self.features.at(x[rows], logf[rows]) for rows in blocks(len(x)))
        sums, held = zip(*((part.sum(axis=0), capped) for part, capped in parts), strict=True)
        return TiltFits(self, x, logf, np.sum(sums, axis=0), sum(held), {})

    def observe_beside(self, fits: Fits) -> TiltFits | None:
        """Return the same data set as another placement's fits see it, if that is on my reference.

        Only the bumps are elsewhere: variations at the events and fits of the null are shared.
        """
        if not (isinstance(fits, TiltFits) and fits.setup.common == self.common):
            return None
        parts = (self.features.bumps_at(fits.x[rows]).sum(axis=0) for rows in blocks(len(fits.x)))
        bumps = sum(parts, start=np.zeros(self.rank))
        total = np.concatenate([fits.total[: self.features.rank], bumps])
        return TiltFits(self, fits.x, fits.logf, total, fits.capped, fits.nulls)

    def coefficients(self, profile: Profile) -> Array:
        """Return the fitted coefficients of the bumps ``(K,)``."""
        return self.features.directions @ profile.amplitudes


@dataclass(frozen=True, slots=True, eq=False)
class TiltFits:
    """One data set.  Its fits see it only through `total`, the sums ``(r + v,)`` of its features.

    Events ``(n, d)`` and log-densities ``(n, M)`` are kept to evaluate the fitted ratio; at
    `capped` events the variations were held to their cap.  `nulls` are the fits of the null that
    have been made, by the bytes of their centre: other placements have the same.
    """

    setup: TiltSetup
    x: Array
    logf: Array
    total: Array
    capped: int
    nulls: dict[bytes, TiltOptimum | NumericsError]

    def profile(self, hypothesis: Hypothesis, centre: Array) -> Profile:
        """Return both fits, weights profiled under their constraint or frozen at its centre."""
        (found,) = self.profiles([self], hypothesis, [centre])
        if isinstance(found, NumericsError):
            raise found
        return found

    @staticmethod
    def profiles(
        fits: Sequence[TiltFits], hypothesis: Hypothesis, centres: Sequence[Array]
    ) -> list[Profile | NumericsError]:
        """Return :meth:`profile` of data sets of one size, whose fits share their passes."""
        if len({len(fit.x) for fit in fits}) > 1:
            pairs = zip(fits, centres, strict=True)
            return [TiltFits.profiles([fit], hypothesis, [at])[0] for fit, at in pairs]
        setup = fits[0].setup
        _, kernels, both = setup.slices
        bare = [np.concatenate([centre, np.zeros(setup.rank)]) for centre in centres]
        problems = [fit.problem(start) for fit, start in zip(fits, bare, strict=True)]
        nulls: Sequence[TiltOptimum | NumericsError | None] = [None] * len(fits)
        if hypothesis.free:
            nulls = _nulls(fits, problems, bare)
            starts = [
                null.theta if isinstance(null, TiltOptimum) else start
                for null, start in zip(nulls, bare, strict=True)
            ]
            fulls = setup.minima(problems, both, starts)
        else:
            fulls = setup.minima(problems, kernels, bare)
        return [_profile(*each) for each in zip(nulls, fulls, centres, strict=True)]

    def problem(self, centre: Array) -> Tilt:
        """Return the objective, constrained around `centre` ``(r + v,)``."""
        setup = self.setup
        return Tilt(
            setup.reference, self.total, len(self.x), setup.precision, centre, setup.slices[2]
        )

    def relative(self, profile: Profile) -> tuple[Array, Array]:
        r"""Return :math:`p_0/\hat f` and :math:`p_1/\hat f`, NaN where f-hat is not positive."""
        setup = self.setup
        none = np.zeros(setup.rank)
        thetas = [
            np.concatenate([profile.null, none]),
            np.concatenate([profile.alternative, profile.amplitudes]),
        ]
        norms = [log_partition(setup.reference, theta) for theta in thetas]
        out = np.full((2, len(self.x)), np.nan)
        for rows in blocks(len(self.x)):
            part, _ = setup.features.at(self.x[rows], self.logf[rows])
            log_f = mixed_log_density(self.logf[rows], setup.null.weights)
            part[~np.isfinite(log_f)] = np.nan
            for values, theta, norm in zip(out, thetas, norms, strict=True):
                values[rows] = np.exp(part @ theta - norm)
        return out[0], out[1]


def _profile(
    null: TiltOptimum | NumericsError | None, full: TiltOptimum | NumericsError, centre: Array
) -> Profile | NumericsError:
    if isinstance(null, NumericsError):
        return null
    if isinstance(full, NumericsError):
        return full
    fits, rank = [fit for fit in (null, full) if fit is not None], centre.size
    good = all(fit.converged for fit in fits)
    return Profile(
        # The full fit starts at the null's optimum: a rise beyond it is rounding.
        statistic=2.0 * max(0.0, full.first - full.value) if good else math.nan,
        gap=2.0 * sum(fit.gap for fit in fits),
        null=centre if null is None else null.theta[:rank],
        alternative=full.theta[:rank],
        amplitudes=full.theta[rank:],
        iterations=sum(fit.iterations for fit in fits),
    )


def _nulls(
    fits: Sequence[TiltFits], problems: Sequence[Tilt], starts: Sequence[Array]
) -> list[TiltOptimum | NumericsError]:
    """Return the fits of the null, each made once for all placements of its data set."""
    setup = fits[0].setup
    rank = setup.features.rank
    keys = [start[:rank].tobytes() for start in starts]
    left = [i for i, key in enumerate(keys) if key not in fits[i].nulls]
    if left:
        made = setup.minima([problems[i] for i in left], setup.slices[0], [starts[i] for i in left])
        for i, null in zip(left, made, strict=True):
            fits[i].nulls[keys[i]] = null
    known = [fit.nulls[key] for fit, key in zip(fits, keys, strict=True)]
    no_bumps = np.zeros(setup.rank)
    return [
        null
        if isinstance(null, NumericsError)
        else replace(null, theta=np.concatenate([null.theta[:rank], no_bumps]))
        for null in known
    ]


_LEAST = 10.0  # reference events a bump must hold; one of the data then costs it no surprise


@dataclass(frozen=True, slots=True, eq=False)
class TiltFeatures:
    r"""The functions F(x) whose exponential tilts the model.

    The first r are relative variations of the density, held to a length of `cap`:

    .. math:: s(x) = \frac{B(x)}{\max(\hat f(x),\ |B(x)| / \mathrm{cap})}

    |s| is the relative standard error of the density.  Where it exceeds the
    cap, and where the mixture is not positive, the data that fixed the weights
    said nothing; the capped function is one more bounded feature, the same for
    data, toys and reference.  The other v are whitened combinations of bumps.

    Attributes
    ----------
    null, kernels
        The model, and placed kernels of which only the bumps are used.
    directions, means
        V, combinations of bumps ``(K, v)``, and their means in the reference ``(v,)``, which
        are taken off.
    cap
        Largest length of s.
    """

    null: Null
    kernels: Kernels
    directions: Array
    cap: float
    means: Array

    @property
    def rank(self) -> int:
        """Return r, the number of variations."""
        return int(self.null.variations.shape[1])

    def at(self, x: Array, logf: Array) -> tuple[Array, int]:
        """Return F ``(n, r + v)`` at events, and how many of these were capped."""
        out = np.empty((x.shape[0], self.rank + self.means.size))
        out[:, : self.rank], capped = capped_variations(
            logf, self.null.weights, self.null.variations, self.cap
        )
        out[:, self.rank :] = self.bumps_at(x)
        return out, capped

    def bumps_at(self, x: Array) -> Array:
        """Return the whitened bumps alone ``(n, v)``."""
        if not self.means.size:
            return np.empty((len(x), 0))
        return np.asarray(self.kernels.bumps(x) @ self.directions - self.means)


def bump_directions(bumps: Array, truncation: float) -> Array:
    """Return combinations ``(K, v)`` of unit variance in the reference, from bumps ``(R, K)``.

    Combinations whose variance is below `truncation` times the largest, after
    each bump was scaled to unit variance, and bumps that hold fewer than ten
    reference events are left out.
    """
    count = bumps.shape[0]
    filled = bumps.sum(axis=0) >= _LEAST
    size = np.where(filled, bumps.std(axis=0), np.inf)
    if not bumps.shape[1]:
        return np.zeros((0, 0))
    require(
        filled.any(),
        "ExponentialTilt.width",
        got=f"{filled.size} bumps, none of which holds {_LEAST:.0f} of {count} events",
        expected="bumps wide enough for the model to have events in them",
        remedy="Give larger widths, or more reference events.",
    )
    mean = bumps.mean(axis=0)
    covariance = bumps.T @ bumps / count - np.outer(mean, mean)
    values, vectors = linalg.eigh(covariance / np.outer(size, size))
    keep = values > truncation * values[-1]
    return np.ascontiguousarray(vectors[:, keep] / np.sqrt(values[keep]) / size[:, None])
