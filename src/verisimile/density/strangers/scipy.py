"""Distributions of scipy.

`gaussian_kde` wants and returns ``(d, n)``; `multivariate_normal` drops the axis of a single
draw; a distribution with vector-valued parameters is many distributions, which no shape of one
draw betrays; and scipy's newer random variables take their generator by another name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, require
from verisimile.density.adapters import WRAP, Adapted, CallableDensity, require_full_rank
from verisimile.density.protocol import DensityEstimator

_PROBES = (5, 7)  # two sizes: one may happen to fit vector-valued parameters
_RANK = 64
# Their densities are with respect to the sphere, which has no volume.
_ON_SPHERE = ("vonmises_fisher", "uniform_direction")


class _Distribution(Protocol):
    def logpdf(self, x: Array) -> npt.ArrayLike: ...
    def rvs(self, *, size: int, random_state: np.random.Generator) -> npt.ArrayLike: ...


class _RandomVariable(Protocol):
    def logpdf(self, x: Array) -> npt.ArrayLike: ...
    def sample(self, shape: int, *, rng: np.random.Generator) -> npt.ArrayLike: ...


class _ScipyKernelEstimate(Protocol):
    d: int

    def logpdf(self, x: Array) -> npt.ArrayLike: ...
    def resample(self, size: int, *, seed: np.random.Generator) -> npt.ArrayLike: ...


def adapted(model: object) -> DensityEstimator:
    """Return a distribution of numbers or vectors as an estimator."""
    names = {base.__name__ for base in type(model).__mro__}
    if "gaussian_kde" in names:
        kernels = _ScipyKernels(cast(_ScipyKernelEstimate, model))
        return Adapted(CallableDensity(int(kernels.model.d), kernels.log_prob, kernels.sample))
    if "_ProbabilityDistribution" in names:
        return _scalar(_Newer(cast(_RandomVariable, model)), model)
    _require_frozen(model, names)
    return _frozen(model)


def _require_frozen(model: object, names: set[str]) -> None:
    generic = bool(names & {"rv_generic", "multi_rv_generic"})
    require(
        not generic or getattr(model, "numargs", 1) == 0,
        "model",
        got=f"the scipy distribution {_title(model)} without its parameters",
        expected="a frozen one",
        remedy="Give it its parameters: stats.gamma(2.0, scale=3.0).",
    )
    require(
        hasattr(model, "logpdf"),
        "model",
        got=f"the discrete {_title(model)}",
        expected="a continuous distribution",
    )
    require(
        not _title(model).startswith(_ON_SPHERE),
        "model",
        got=f"the {_title(model)}, a density on a sphere",
        expected="a density with respect to all features",
    )


def _frozen(stranger: object) -> DensityEstimator:
    model = cast(_Distribution, stranger)
    try:
        probes = {n: _probe(model, n) for n in _PROBES}
    except (TypeError, ValueError) as error:
        raise _unusable(model, str(error)) from None
    width = next(iter(probes.values()))[0][1:]
    if len(width) > 1 or any(probe != ((n, *width), (n,)) for n, probe in probes.items()):
        raise _unusable(model, f"draws and densities of shapes {list(probes.values())}")
    source = _Frozen(model, univariate=not width)
    d = width[0] if width else 1
    require_full_rank(source.sample(_RANK + d, np.random.default_rng(0)), _title(model))
    return Adapted(CallableDensity(d, source.log_prob, source.sample))


def _scalar(source: _Newer, stranger: object) -> DensityEstimator:
    """Return one of scipy's newer random variables, which are numbers."""
    probe = np.shape(source.model.sample(_PROBES[0], rng=np.random.default_rng(0)))
    if probe != _PROBES[:1]:
        raise _unusable(stranger, f"draws of shape {probe}")
    try:
        source.log_prob(np.zeros((1, 1)))
    except NotImplementedError:
        got = f"the discrete {_title(stranger)}"
        raise InputError("model", got=got, expected="a continuous distribution") from None
    return Adapted(CallableDensity(1, source.log_prob, source.sample))


@dataclass(frozen=True, slots=True)
class _Frozen:
    """A frozen distribution of one or several features."""

    model: _Distribution
    univariate: bool

    def log_prob(self, x: Array) -> Array:
        return np.reshape(self.model.logpdf(x[:, 0] if self.univariate else x), len(x))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        draws = self.model.rvs(size=n, random_state=rng)
        # A single draw comes without its axis.
        return np.reshape(draws, (n, -1))


@dataclass(frozen=True, slots=True)
class _Newer:
    """A random variable of ``scipy.stats.make_distribution`` and its like."""

    model: _RandomVariable

    def log_prob(self, x: Array) -> Array:
        return np.asarray(self.model.logpdf(x[:, 0]))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        return np.reshape(self.model.sample(n, rng=rng), (n, 1))


@dataclass(frozen=True, slots=True)
class _ScipyKernels:
    """`scipy.stats.gaussian_kde`, transposed."""

    model: _ScipyKernelEstimate

    def log_prob(self, x: Array) -> Array:
        # Beyond 1e100 scipy meets inf - inf; the density is zero long before.
        return np.asarray(self.model.logpdf(x.T.clip(-1e100, 1e100)))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        return np.asarray(self.model.resample(n, seed=rng)).T


def _probe(model: _Distribution, n: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of `n` draws and of their densities."""
    draws = np.asarray(model.rvs(size=n, random_state=np.random.default_rng(0)))
    return draws.shape, np.shape(model.logpdf(draws))


def _title(model: Any) -> str:  # noqa: ANN401  (a stranger)
    """Return the name of the model's kind, for messages."""
    inner = getattr(model, "dist", getattr(model, "_dist", model))
    return type(inner).__name__.removesuffix("_gen").removesuffix("_frozen")


def _unusable(model: object, reason: str) -> InputError:
    return InputError(
        "model",
        got=f"the scipy distribution {_title(model)} ({reason})",
        expected="one distribution of vectors ``(n, d)`` or numbers ``(n,)``",
        remedy=WRAP,
    )
