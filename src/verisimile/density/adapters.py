"""Strangers' models as density estimators: scipy, scikit-learn, pairs of functions.

`gaussian_kde` wants and returns ``(d, n)``; `multivariate_normal` drops the axis
of a single draw; a scipy distribution with vector-valued parameters is many
distributions, which no shape of one draw betrays.  The ``score`` of a
scikit-learn model is a mean; its mixtures sample from their own random state;
and `BayesianGaussianMixture.score_samples` is no normalised density.  Mixtures
are therefore taken over by their parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, as_matrix
from verisimile.core.errors import InputError, require
from verisimile.data.truths import GaussianMixtureTruth
from verisimile.density.protocol import ConditionalDensity, DensityEstimator

_PROBES = (5, 7)  # two sizes: one may happen to fit vector-valued parameters
_WRAP = (
    "Wrap two functions: adapt(CallableDensity(n_features, log_prob, sample)),"
    " both of verisimile.density.adapters."
)


@dataclass(frozen=True, slots=True)
class CallableDensity:
    """Two functions that make a density.

    `log_prob` takes events ``(n, d)`` to natural log-densities ``(n,)``, `sample` a number and
    a `numpy.random.Generator` to events ``(n, d)``; d is `n_features`.
    """

    n_features: int
    log_prob: Callable[[Array], npt.ArrayLike]
    sample: Callable[[int, np.random.Generator], npt.ArrayLike]


@dataclass(frozen=True, slots=True)
class Adapted:
    """A density whose inputs and outputs are checked and converted.

    Functions must be of a module, not lambdas, where a process pool pickles them.
    """

    source: CallableDensity

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return self.source.n_features

    def log_prob(self, x: npt.ArrayLike) -> Array:
        """Return natural log-densities ``(n,)``; an InputError if the answer is none."""
        matrix = as_matrix(x, "x", columns=self.n_features)
        if not len(matrix):
            return np.zeros(0)
        # Overflow far outside is an honest minus infinity.
        with np.errstate(all="ignore"):
            values = np.array(self.source.log_prob(matrix), dtype=np.float64)
        return _shaped(values, (len(matrix),), "log_prob")

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` events ``(n, d)``; an InputError if the answer has another shape."""
        if n == 0:
            return np.zeros((0, self.n_features))
        values = np.array(self.source.sample(n, rng), dtype=np.float64)
        return _shaped(values, (n, self.n_features), "sample")


def _title(model: object) -> str:
    """Return the name of the model's kind, for messages."""
    return type(getattr(model, "dist", model)).__name__


def _shaped(values: Array, shape: tuple[int, ...], name: str) -> Array:
    got = f"an array of shape {values.shape}"
    require(values.shape == shape, f"model.{name}", got=got, expected=f"shape {shape}")
    return values


class _ScipyDistribution(Protocol):
    def logpdf(self, x: Array) -> npt.ArrayLike: ...
    def rvs(self, *, size: int, random_state: np.random.Generator) -> npt.ArrayLike: ...


class _ScipyKernelEstimate(Protocol):
    d: int

    def logpdf(self, x: Array) -> npt.ArrayLike: ...
    def resample(self, size: int, *, seed: np.random.Generator) -> npt.ArrayLike: ...


def scipy_frozen(stranger: object) -> DensityEstimator:
    """Return a frozen continuous distribution of numbers or vectors as an estimator."""
    got = f"the discrete {_title(stranger)}"
    require(hasattr(stranger, "logpdf"), "model", got=got, expected="a continuous distribution")
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
        got=f"the scipy distribution {_title(model)} ({reason})",
        expected="one distribution of vectors ``(n, d)`` or numbers ``(n,)``",
        remedy=_WRAP,
    )


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
    """Return a fitted `KernelDensity` as an estimator."""
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
    require(
        hasattr(model, attribute),
        "model",
        got=f"a {_title(model)} that is not fitted",
        expected="a fitted one",
        remedy="Call its fit(x) first.",
    )


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

    Examples
    --------
    >>> import numpy as np
    >>> import verisimile as vs
    >>> from scipy import stats
    >>> model = vs.adapt(stats.norm(91.2, 2.5))
    >>> model.n_features, model.log_prob(np.array([[91.2]])).round(3)
    (1, array([-1.835]))
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
        remedy=_WRAP,
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
