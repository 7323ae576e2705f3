"""Frozen scipy distributions and `gaussian_kde` as density estimators.

`gaussian_kde` wants and returns ``(d, n)``; `multivariate_normal` drops the axis
of a single draw; a distribution with vector-valued parameters is many
distributions, which no shape of one draw betrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.density.adapters.functions import Adapted, CallableDensity, stranger_title
from verisimile.density.protocol import DensityEstimator

_PROBES = (5, 7)  # two sizes: one may happen to fit vector-valued parameters


class _ScipyDistribution(Protocol):
    def logpdf(self, x: Array) -> npt.ArrayLike: ...
    def rvs(self, *, size: int, random_state: np.random.Generator) -> npt.ArrayLike: ...


class _ScipyKernelEstimate(Protocol):
    d: int

    def logpdf(self, x: Array) -> npt.ArrayLike: ...
    def resample(self, size: int, *, seed: np.random.Generator) -> npt.ArrayLike: ...


def scipy_frozen(stranger: object) -> DensityEstimator:
    """Return a frozen continuous distribution of numbers or vectors as an estimator.

    Raises
    ------
    InputError
        If it is discrete, or not one distribution.
    """
    if not hasattr(stranger, "logpdf"):
        raise InputError(
            "model",
            got=f"the discrete {stranger_title(stranger)}",
            expected="a continuous distribution",
        )
    model = cast(_ScipyDistribution, stranger)
    try:
        probes = {n: _probe(model, n) for n in _PROBES}
    except (TypeError, ValueError) as error:
        raise _unusable(model, str(error)) from None
    width = next(iter(probes.values()))[0][1:]
    if len(width) > 1 or any(probe != ((n, *width), (n,)) for n, probe in probes.items()):
        raise _unusable(model, f"draws and densities of shapes {list(probes.values())}")
    source = _Frozen(model, univariate=not width)
    return Adapted(CallableDensity(width[0] if width else 1, source.log_prob, source.sample))


def scipy_kernels(stranger: object) -> DensityEstimator:
    """Return a `scipy.stats.gaussian_kde` as an estimator."""
    model = cast(_ScipyKernelEstimate, stranger)
    source = _ScipyKernels(model)
    return Adapted(CallableDensity(int(model.d), source.log_prob, source.sample))


@dataclass(frozen=True, slots=True)
class _Frozen:
    """A frozen scipy distribution of one or several features."""

    model: _ScipyDistribution
    univariate: bool

    def log_prob(self, x: Array) -> Array:
        return np.reshape(self.model.logpdf(x[:, 0] if self.univariate else x), len(x))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        draws = self.model.rvs(size=n, random_state=rng)
        # A single draw comes without its axis.
        return np.reshape(draws, (n, -1))


@dataclass(frozen=True, slots=True)
class _ScipyKernels:
    """`scipy.stats.gaussian_kde`, transposed."""

    model: _ScipyKernelEstimate

    def log_prob(self, x: Array) -> Array:
        # Beyond 1e100 scipy meets inf - inf; the density is zero long before.
        return np.asarray(self.model.logpdf(x.T.clip(-1e100, 1e100)))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        return np.asarray(self.model.resample(n, seed=rng)).T


def _probe(model: _ScipyDistribution, n: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of `n` draws and of their densities."""
    draws = np.asarray(model.rvs(size=n, random_state=np.random.default_rng(0)))
    return draws.shape, np.shape(model.logpdf(draws))


def _unusable(model: object, reason: str) -> InputError:
    return InputError(
        "model",
        got=f"the scipy distribution {stranger_title(model)} ({reason})",
        expected="one distribution of vectors ``(n, d)`` or numbers ``(n,)``",
        remedy="Wrap two functions: adapt(CallableDensity(n_features, log_prob, sample)),"
        " both of verisimile.density.adapters.",
    )
