"""`check_estimator`, `check_conditional`: whether a model keeps the promises of a density."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, logsumexp

from verisimile.core.arrays import Array, as_matrix
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate, Result, register
from verisimile.density.adapters import adapt
from verisimile.density.protocol import (
    AtContext,
    ConditionalDensity,
    DensityEstimator,
    Rounded,
    RoundedConditional,
    Sampler,
)

T = TypeVar("T")

_CHUNK_TOLERANCE = 1e-3  # float32 sums over another batch differ by 1e-5
_NUMERICAL = 1e-6
_SINGLE = 32
_FAR = (1e3, 1e8, 1e300)
_SIGMAS = 5.0
_VAGUE = 0.2  # an integral with a larger error says nothing
_UNKNOWN = Estimate(math.nan, math.nan)


@register("estimator-check", 1)
@dataclass(frozen=True, slots=True)
class EstimatorCheck(Result):
    """What was found.

    Attributes
    ----------
    n_features
        d; zero if unknown.
    draws
        Events that were drawn.
    bad_draws
        How many of them are not finite.
    repeatable_sample, repeatable_density
        Whether the same random stream gives the same draws, and the same
        events the same densities, bit for bit.
    undefined
        How many log-densities at own draws are NaN, infinite, or minus infinity.
    chunk_gap
        Largest change of a log-density when events come one at a time.
    integral
        Of the density over the whole space: should be one.
    entropy_gap
        Mean log-density of own draws minus its expectation under the density:
        should be zero; else sampler and density do not belong together.
    problems
        One sentence for each promise that is not kept; empty if all are.
    """

    n_features: int = 0
    draws: int = 0
    bad_draws: int = 0
    repeatable_sample: bool = False
    repeatable_density: bool = False
    undefined: int = 0
    chunk_gap: float = math.nan
    integral: Estimate = _UNKNOWN
    entropy_gap: Estimate = _UNKNOWN
    problems: tuple[str, ...] = ()


def check_estimator(
    model: object,
    *,
    seeds: Seeds = Seeds(0),  # noqa: B008  (a frozen value)
    draws: int = 4000,
) -> EstimatorCheck:
    """Try a model out and return what was found; whatever the model does, nothing is raised.

    The `model` is a density estimator, or anything that `adapt` knows; `draws` events are drawn.

    Examples
    --------
    >>> from verisimile.data.truths import GaussianTruth
    >>> check_estimator(GaussianTruth.paper()).problems
    ()
    """
    inspection = _Inspection(seeds, draws)
    estimator = inspection.attempt("no density estimator", lambda: adapt(model))
    if estimator is not None:
        inspection.sampling(estimator)
        inspection.density(estimator)
        inspection.importance(estimator)
    return EstimatorCheck(**inspection.found, problems=tuple(inspection.problems))


class _Inspection:
    """The findings so far; each part leaves the defaults where the model fails."""

    def __init__(self, seeds: Seeds, draws: int) -> None:
        self.seeds = seeds
        self.n = draws
        self.draws: Array | None = None
        self.problems: list[str] = []
        self.found: dict[str, Any] = {}

    def attempt(self, what: str, action: Callable[[], T]) -> T | None:
        """Return the result of `action`, or None and a problem."""
        try:
            with np.errstate(all="ignore"):
                return action()
        except Exception as error:  # a stranger's model may raise anything
            self.problems.append(f"{what}: {type(error).__name__}: {error}")
            return None

    def note(self, problem: str, *, unless: bool) -> None:
        """Note a broken promise, unless it was kept."""
        if not unless:
            self.problems.append(problem)

    def sampling(self, model: DensityEstimator) -> None:
        """Draw twice from one stream and once from another."""
        d = self.found["n_features"] = model.n_features
        drawn = self.attempt("sample fails", lambda: self._draw(model, "own"))
        again = self.attempt("sample fails", lambda: self._draw(model, "own"))
        other = self.attempt("sample fails", lambda: self._draw(model, "other"))
        if drawn is None or again is None or other is None:
            return
        if drawn.shape != (self.n, d) or drawn.dtype != np.float64:
            shape = f"sample({self.n}) has shape {drawn.shape} and dtype {drawn.dtype}"
            self.problems.append(f"{shape}, not {(self.n, d)} and float64")
            return
        finite = np.isfinite(drawn).all(axis=1)
        same = bool(np.array_equal(drawn, again, equal_nan=True))
        bad = int((~finite).sum())
        self.found |= {"draws": self.n, "bad_draws": bad, "repeatable_sample": same}
        self.note(f"{bad} of {self.n} draws are not finite", unless=bad == 0)
        self.note("sample gives other draws for the same random generator", unless=same)
        differ = not np.array_equal(drawn, other)
        self.note("sample gives the same draws for another random generator", unless=differ)
        self.draws = drawn[finite]

    def density(self, model: DensityEstimator) -> None:
        """Evaluate own draws twice, a few one by one, and far away."""
        x, self.draws = self.draws, None  # until they are known to have a density
        if x is None or not len(x):
            return
        log_p = self.attempt("log_prob fails at own draws", lambda: model.log_prob(x))
        again = self.attempt("log_prob fails at own draws", lambda: model.log_prob(x))
        if log_p is None or again is None:
            return
        if np.shape(log_p) != (len(x),) or log_p.dtype != np.float64:
            self.problems.append(f"log_prob has shape {np.shape(log_p)} and dtype {log_p.dtype}")
            return
        self.draws = x
        undefined = int((~np.isfinite(log_p)).sum())
        same = bool(np.array_equal(log_p, again, equal_nan=True))
        self.found |= {"undefined": undefined, "repeatable_density": same}
        bad = f"log_prob is not finite at {undefined} of {len(x)} own draws"
        self.note(bad, unless=undefined == 0)
        self.note("log_prob gives other values for the same events", unless=same)
        self.attempt("log_prob fails for single events", lambda: self._singly(model, x, log_p))
        self.attempt("log_prob fails far outside", lambda: self._far(model, x))

    def importance(self, model: DensityEstimator) -> None:
        """Integrate the density, and compare sampler with density."""
        if self.draws is None or self.found.get("undefined") or len(self.draws) <= model.n_features:
            return
        self.attempt("the integral cannot be estimated", lambda: self._integrate(model))

    def _draw(self, model: DensityEstimator, stream: str) -> Array:
        return model.sample(self.n, self.seeds.at("check", stream).numpy())

    def _singly(self, model: DensityEstimator, x: Array, log_p: Array) -> None:
        one_by_one = np.concatenate([model.log_prob(row[None]) for row in x[:_SINGLE]])
        gap = float(np.nanmax(np.abs(one_by_one - log_p[:_SINGLE])))
        self.found["chunk_gap"] = gap
        problem = f"log_prob of an event depends on the others in its batch, by {gap:.2g}"
        self.note(problem, unless=gap <= _CHUNK_TOLERANCE)

    def _far(self, model: DensityEstimator, x: Array) -> None:
        places = np.vstack([x[:1] + sign * size for sign in (-1.0, 1.0) for size in _FAR])
        bad = int(np.isnan(model.log_prob(places)).sum())
        self.note(f"log_prob is NaN at {bad} of {len(places)} far places", unless=bad == 0)

    def _integrate(self, model: DensityEstimator) -> None:
        draws = np.asarray(self.draws)
        half = len(draws) // 2
        proposal = Proposal.around(draws[:half])
        x = proposal.sample(2 * self.n, self.seeds.at("check", "proposal").numpy())
        total = integral(model, proposal, x)
        gap = entropy_gap(model, proposal, x, draws[half:])
        self.found |= {"integral": total, "entropy_gap": gap}
        if not total.error <= _VAGUE:
            self.problems.append(f"the integral of the density stays unknown: {total}")
            return
        self.note(f"the density does not integrate to one: {total}", unless=_agrees(total, 1.0))
        off = f"the draws do not follow the density: mean log-density off by {gap}"
        self.note(off, unless=_agrees(gap, 0.0))


def _agrees(estimate: Estimate, expected: float) -> bool:
    return abs(estimate.value - expected) <= _SIGMAS * estimate.error + _NUMERICAL


def check_conditional(
    model: ConditionalDensity,
    context: npt.ArrayLike,
    *,
    seeds: Seeds = Seeds(0),  # noqa: B008  (a frozen value)
    draws: int = 4000,
) -> tuple[EstimatorCheck, ...]:
    """Try out a conditional density at each given context; see `check_estimator`.

    That its density integrates to one over x and that its draws follow it is
    checked at every row of `context` ``(G, C)`` by itself; choose some near the edges.
    """
    rows = as_matrix(context, "context", columns=model.n_context)
    return tuple(
        check_estimator(AtContext(model, row), seeds=seeds.at(number), draws=draws)
        for number, row in enumerate(rows)
    )


_FREEDOM = 5.0
_CENTRES = 256


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """Student kernels with scale matrix ``root rootᵀ`` at `centres` ``(K, d)``."""

    centres: Array
    root: Array

    @classmethod
    def around(cls, draws: Array) -> Proposal:
        """Return kernels at the first draws, as wide as a kernel estimate would have them."""
        centres = draws[:_CENTRES]
        k, d = centres.shape
        # Silverman's width, and half as much again.
        width = 1.5 * (4.0 / ((d + 2.0) * k)) ** (1.0 / (d + 4.0))
        covariance = np.atleast_2d(np.cov(draws, rowvar=False))
        return cls(centres, width * np.linalg.cholesky(covariance))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` draws ``(n, d)``."""
        which = rng.integers(len(self.centres), size=n)
        normal = rng.standard_normal((n, self.centres.shape[1]))
        scale = np.sqrt(_FREEDOM / rng.chisquare(_FREEDOM, size=n))
        return self.centres[which] + (normal * scale[:, None]) @ self.root.T

    def log_prob(self, x: Array) -> Array:
        """Return log-densities ``(n,)``."""
        k, d = self.centres.shape
        white = np.linalg.solve(self.root, x.T).T
        nodes = np.linalg.solve(self.root, self.centres.T).T
        distance = ((white[:, None, :] - nodes) ** 2).sum(axis=2)
        half = 0.5 * (_FREEDOM + d)
        norm = gammaln(half) - gammaln(0.5 * _FREEDOM) - 0.5 * d * math.log(_FREEDOM * math.pi)
        norm -= float(np.log(np.diagonal(self.root)).sum())
        kernels = norm - half * np.log1p(distance / _FREEDOM)
        return np.asarray(logsumexp(kernels, axis=1) - math.log(k))


def integral(model: DensityEstimator, proposal: Proposal, x: Array) -> Estimate:
    """Return the integral of the model's density from draws `x` of the proposal."""
    ratio = np.exp(model.log_prob(x) - proposal.log_prob(x))
    return Estimate(float(ratio.mean()), float(ratio.std(ddof=1)) / math.sqrt(len(x)))


def entropy_gap(model: DensityEstimator, proposal: Proposal, x: Array, own: Array) -> Estimate:
    """Return mean log-density of the model's draws `own`, minus what it should be."""
    log_p = model.log_prob(x)
    inside = log_p > -np.inf
    log_p, ratio = log_p[inside], np.exp(log_p[inside] - proposal.log_prob(x[inside]))
    expected = float((ratio * log_p).sum() / ratio.sum())
    residual = ratio * (log_p - expected)
    error = math.sqrt(float((residual**2).sum())) / float(ratio.sum())
    seen = model.log_prob(own)
    spread = float(seen.std(ddof=1)) / math.sqrt(len(own))
    return Estimate(float(seen.mean()) - expected, math.hypot(error, spread))


def precision_gap(
    model: DensityEstimator | ConditionalDensity | Sampler, *arguments: Array
) -> float:
    """Return ``max |log f − log f₆₄|`` over some events; zero for a model without rounding.

    The arguments are those of ``model.log_prob``: x, and a context if the model has one.

    A weight fit cannot resolve directions of the members' span whose relative
    curvature lies below this noise.
    """
    if not isinstance(model, Rounded | RoundedConditional):
        return 0.0
    rounded, exact = model.log_prob(*arguments), model.reference().log_prob(*arguments)
    both = np.isfinite(rounded) & np.isfinite(exact)
    return float(np.abs(rounded[both] - exact[both]).max(initial=0.0))
