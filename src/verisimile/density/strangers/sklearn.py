"""Estimators of scikit-learn, and pipelines that end in one.

The ``score`` of a scikit-learn model is a mean; its mixtures sample from their own random
state; and `BayesianGaussianMixture.score_samples` is no normalised density.  Mixtures are
therefore taken over by their parameters.  ``Pipeline.score_samples`` is a density of the last
step's inputs, in which the Jacobian of the steps before is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, require
from verisimile.data.truths import GaussianMixtureTruth
from verisimile.density.adapters import WRAP, Adapted, CallableDensity
from verisimile.density.protocol import DensityEstimator
from verisimile.density.strangers.steps import Step, quietly, step_of


class _SklearnKernelEstimate(Protocol):
    kernel: str
    n_features_in_: int

    def score_samples(self, x: Array) -> npt.ArrayLike: ...
    def sample(self, n_samples: int, *, random_state: int) -> npt.ArrayLike: ...


class _Mixture(Protocol):
    weights_: Array
    means_: Array
    covariances_: Array
    covariance_type: str


class _Factors(Protocol):
    mean_: Array

    def get_covariance(self) -> Array: ...


def adapted(model: object) -> DensityEstimator:
    """Return a fitted estimator of a density, or a pipeline or search of one."""
    kinds = {base.__name__ for base in type(model).__mro__}
    for name, build in _KINDS.items():
        if name in kinds:
            return build(model)
    title = type(model).__name__
    scores = hasattr(model, "score_samples")
    raise InputError(
        "model",
        got=f"a scikit-learn {title}" + (", whose scores are no log-densities" if scores else ""),
        expected=f"one of {', '.join(_KINDS)}",
        remedy=WRAP,
    )


def _kernels(stranger: object) -> DensityEstimator:
    _require_fitted(stranger, "tree_")
    model = cast(_SklearnKernelEstimate, stranger)
    require(
        model.kernel in ("gaussian", "tophat"),
        "KernelDensity.kernel",
        got=repr(model.kernel),
        expected="'gaussian' or 'tophat', the kernels that scikit-learn can sample",
    )
    source = _SklearnKernels(model)
    return Adapted(CallableDensity(int(model.n_features_in_), source.log_prob, source.sample))


def sklearn_mixture(stranger: object) -> GaussianMixtureTruth:
    """Return a fitted mixture as the density of its (mean) parameters."""
    _require_fitted(stranger, "means_")
    model = cast(_Mixture, stranger)
    means = np.asarray(model.means_, dtype=np.float64)
    weights = np.asarray(model.weights_, dtype=np.float64)
    used = weights > 0.0
    covariances = _full_covariances(model, *means.shape)
    return GaussianMixtureTruth(weights[used] / weights.sum(), means[used], covariances[used])


def _normal(stranger: object) -> DensityEstimator:
    """Return the normal density of a factor model: what its ``score_samples`` is of."""
    _require_fitted(stranger, "mean_")
    model = cast(_Factors, stranger)
    covariance = np.asarray(model.get_covariance(), dtype=np.float64)
    require(
        np.linalg.matrix_rank(covariance) == len(covariance),
        "model",
        got=f"a {type(model).__name__} with a singular covariance",
        expected="noise in every direction",
        remedy="Leave out the features that are functions of the others.",
    )
    mean = np.asarray(model.mean_, dtype=np.float64)
    symmetric = 0.5 * (covariance + covariance.T)
    return GaussianMixtureTruth(np.ones(1), mean[None], symmetric[None])


def _best(stranger: object) -> DensityEstimator:
    _require_fitted(stranger, "best_estimator_")
    return adapted(cast(Any, stranger).best_estimator_)


def _pipeline(stranger: object) -> DensityEstimator:
    named = cast(Any, stranger).steps
    last = adapted(named[-1][1])
    steps = [step_of(name, made) for name, made in named[:-1] if _acts(made)]
    if not steps:
        return last
    source = _Pipeline(tuple(steps), last)
    return Adapted(CallableDensity(last.n_features, source.log_prob, source.sample))


def _acts(step: object) -> bool:
    return step is not None and not isinstance(step, str)  # "passthrough"


_KINDS: dict[str, Callable[[object], DensityEstimator]] = {
    "KernelDensity": _kernels,
    "GaussianMixture": sklearn_mixture,
    "BayesianGaussianMixture": sklearn_mixture,
    "PCA": _normal,
    "FactorAnalysis": _normal,
    "Pipeline": _pipeline,
    "BaseSearchCV": _best,
}


@dataclass(frozen=True, slots=True)
class _SklearnKernels:
    """A fitted `sklearn.neighbors.KernelDensity`."""

    model: _SklearnKernelEstimate

    def log_prob(self, x: Array) -> Array:
        with quietly():
            return np.asarray(self.model.score_samples(x))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        # scikit-learn takes no Generator; 32 bits of one are a seed.
        seed = int(rng.integers(2**32, dtype=np.uint64))
        return np.asarray(self.model.sample(n, random_state=seed)).reshape(n, -1)


@dataclass(frozen=True, slots=True)
class _Pipeline:
    r"""Steps :math:`z = T(x)` before a density q of z.

    .. math:: \log p(x) = \log q(T(x)) + \sum_k \log |\det T_k'|
    """

    steps: tuple[Step, ...]
    last: DensityEstimator

    def log_prob(self, x: Array) -> Array:
        z, log_jacobian = x, np.zeros(len(x))
        inside = np.ones(len(x), dtype=bool)
        for step in self.steps:
            ready = inside & step.domain(z)
            inside = ready
            moved = np.zeros_like(z)
            moved[ready] = step.forward(z[ready])
            log_jacobian[ready] += step.log_slope(z[ready])
            inside = ready & np.isfinite(moved).all(axis=1)
            z = np.where(inside[:, None], moved, 0.0)
        out = np.full(len(x), -np.inf)
        out[inside] = self.last.log_prob(z[inside]) + log_jacobian[inside]
        return out

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        z = self.last.sample(n, rng)
        for step in reversed(self.steps):
            z = step.backward(z)
        return z


def _full_covariances(model: _Mixture, count: int, d: int) -> Array:
    """Return covariance matrices ``(K, d, d)``, exactly symmetric, of any covariance type."""
    values = np.asarray(model.covariances_, dtype=np.float64)
    match model.covariance_type:
        case "full":
            full = values
        case "tied":
            full = np.broadcast_to(values, (count, d, d))
        case "diag":
            full = values[:, :, None] * np.eye(d)
        case _:
            full = values[:, None, None] * np.eye(d)
    return 0.5 * (full + full.swapaxes(1, 2))


def _require_fitted(model: object, attribute: str) -> None:
    require(
        hasattr(model, attribute),
        "model",
        got=f"a {type(model).__name__} that is not fitted",
        expected="a fitted one",
        remedy="Call its fit(x) first.",
    )
