"""Fitted scikit-learn kernel estimates and Gaussian mixtures as density estimators.

The ``score`` of a scikit-learn model is a mean; its mixtures sample from their
own random state; and `BayesianGaussianMixture.score_samples` is no normalised
density.  Mixtures are therefore taken over by their parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.data.truths import GaussianMixtureTruth
from verisimile.density.adapters.functions import Adapted, CallableDensity, stranger_title
from verisimile.density.protocol import DensityEstimator


class _SklearnKernelEstimate(Protocol):
    kernel: str
    n_features_in_: int

    def score_samples(self, x: Array) -> npt.ArrayLike: ...
    def sample(self, n_samples: int, *, random_state: int) -> npt.ArrayLike: ...


class _SklearnMixture(Protocol):
    weights_: Array
    means_: Array
    covariances_: Array
    covariance_type: str


def sklearn_kernels(stranger: object) -> DensityEstimator:
    """Return a fitted `KernelDensity` as an estimator.

    Raises
    ------
    InputError
        If it is not fitted, or its kernel cannot be sampled.
    """
    _require_fitted(stranger, "tree_")
    model = cast(_SklearnKernelEstimate, stranger)
    if model.kernel not in ("gaussian", "tophat"):
        raise InputError(
            "KernelDensity.kernel",
            got=repr(model.kernel),
            expected="'gaussian' or 'tophat', the kernels that scikit-learn can sample",
        )
    source = _SklearnKernels(model)
    return Adapted(CallableDensity(int(model.n_features_in_), source.log_prob, source.sample))


def sklearn_mixture(stranger: object) -> GaussianMixtureTruth:
    """Return a fitted mixture as the density of its (mean) parameters.

    Raises
    ------
    InputError
        If it is not fitted.
    """
    _require_fitted(stranger, "means_")
    model = cast(_SklearnMixture, stranger)
    means = np.asarray(model.means_, dtype=np.float64)
    weights = np.asarray(model.weights_, dtype=np.float64)
    used = weights > 0.0
    covariances = _full_covariances(model, *means.shape)
    return GaussianMixtureTruth(weights[used] / weights.sum(), means[used], covariances[used])


@dataclass(frozen=True, slots=True)
class _SklearnKernels:
    """A fitted `sklearn.neighbors.KernelDensity`."""

    model: _SklearnKernelEstimate

    def log_prob(self, x: Array) -> Array:
        return np.asarray(self.model.score_samples(x))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        # scikit-learn takes no Generator; 32 bits of one are a seed.
        seed = int(rng.integers(2**32, dtype=np.uint64))
        return np.asarray(self.model.sample(n, random_state=seed)).reshape(n, -1)


def _full_covariances(model: _SklearnMixture, count: int, d: int) -> Array:
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
    if not hasattr(model, attribute):
        raise InputError(
            "model",
            got=f"a {stranger_title(model)} that is not fitted",
            expected="a fitted one",
            remedy="Call its fit(x) first.",
        )
