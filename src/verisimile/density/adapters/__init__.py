"""Strangers' models as density estimators: scipy, scikit-learn, pairs of functions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from verisimile.core.errors import InputError
from verisimile.density.adapters.functions import Adapted, CallableDensity
from verisimile.density.adapters.scipy import scipy_frozen, scipy_kernels
from verisimile.density.adapters.sklearn import sklearn_kernels, sklearn_mixture
from verisimile.density.protocol import ConditionalDensity, DensityEstimator


def adapt(model: object) -> DensityEstimator:
    """Return `model` as a density estimator.

    Accepts anything with the protocol itself, `CallableDensity`, frozen
    continuous scipy distributions, `scipy.stats.gaussian_kde`, and fitted
    scikit-learn `KernelDensity`, `GaussianMixture`, `BayesianGaussianMixture`
    (the mixture of its mean parameters).

    Raises
    ------
    InputError
        If the model is of no known kind, not fitted, or cannot be sampled.
    """
    if isinstance(model, CallableDensity):
        return Adapted(model)
    if isinstance(model, ConditionalDensity):
        raise InputError(
            "model",
            got=f"the conditional density {type(model).__name__}",
            expected="a density without context",
            remedy="Fix its context: verisimile.density.protocol.AtContext(model, c).",
        )
    if isinstance(model, DensityEstimator) and isinstance(model.n_features, int | np.integer):
        return model
    for module, names, build in _KINDS:
        if _is(model, module, names):
            return build(model)
    raise InputError(
        "model",
        got=f"a {type(model).__module__}.{type(model).__qualname__}",
        expected="an object with n_features, log_prob(x) and sample(n, rng), a frozen scipy"
        " distribution, gaussian_kde, or a scikit-learn KernelDensity or GaussianMixture",
        remedy="Wrap two functions: adapt(CallableDensity(n_features, log_prob, sample)),"
        " both of verisimile.density.adapters.",
    )


_KINDS: tuple[tuple[str, frozenset[str], Callable[[object], DensityEstimator]], ...] = (
    ("sklearn.", frozenset({"KernelDensity"}), sklearn_kernels),
    ("sklearn.", frozenset({"GaussianMixture", "BayesianGaussianMixture"}), sklearn_mixture),
    ("scipy.", frozenset({"gaussian_kde"}), scipy_kernels),
    ("scipy.", frozenset({"rv_frozen", "multi_rv_frozen"}), scipy_frozen),
)


def _is(model: object, module: str, names: frozenset[str]) -> bool:
    """Return whether a base class has one of the names, without importing the library."""
    return any(
        base.__module__.startswith(module) and base.__name__ in names
        for base in type(model).__mro__
    )
