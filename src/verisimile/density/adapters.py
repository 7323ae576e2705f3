"""Strangers' models as density estimators and samplers: `adapt`, `adapt_sampler`.

What is particular to a library is in a file of `strangers`, which is loaded when such a model is
met: torch is not imported for a scipy distribution.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import cast

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, as_matrix
from verisimile.core.errors import InputError, require
from verisimile.density.protocol import ConditionalDensity, DensityEstimator, Sampler

WRAP = "Wrap two functions: vs.adapt(vs.density.CallableDensity(n_features, log_prob, sample))."
_PROBE = 4
_FLAT = 1e-6
_KINDS = (  # library, names of base classes, file of `strangers`
    ("sklearn.", frozenset({"BaseEstimator"}), "sklearn"),
    (
        "scipy.",
        frozenset(
            {
                "rv_frozen",
                "rv_generic",
                "multi_rv_frozen",
                "multi_rv_generic",
                "gaussian_kde",
                "_ProbabilityDistribution",
            }
        ),
        "scipy",
    ),
    ("torch.", frozenset({"Distribution", "Module"}), "torch"),
)
_KNOWN = (
    "an object with n_features, log_prob(x) and sample(n, rng); a zuko, nflows or normflows flow; a"
    " torch or frozen scipy distribution; gaussian_kde; a scikit-learn KernelDensity or"
    " GaussianMixture, alone or in a Pipeline"
)


@dataclass(frozen=True, slots=True)
class CallableDensity:
    """Two functions that make a density.

    `log_prob` takes events ``(n, d)`` to natural log-densities ``(n,)``, `sample` a number and
    a `numpy.random.Generator` to events ``(n, d)``; d is `n_features`.

    Examples
    --------
    >>> import numpy as np
    >>> flat = CallableDensity(
    ...     1,
    ...     lambda x: np.where((x[:, 0] >= 0) & (x[:, 0] < 2), np.log(0.5), -np.inf),
    ...     lambda n, rng: rng.uniform(0, 2, (n, 1)),
    ... )
    >>> adapt(flat).log_prob([[1.0], [3.0]]).round(3).tolist()
    [-0.693, -inf]
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


@dataclass(frozen=True, slots=True)
class FunctionSampler:
    """A function ``f(n, rng)`` that draws events of d features, its answers checked."""

    n_features: int
    function: Callable[[int, np.random.Generator], npt.ArrayLike]

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` events ``(n, d)``; an InputError if the answer has another shape."""
        if n == 0:
            return np.zeros((0, self.n_features))
        return _shaped(_drawn(self.function, n, rng), (n, self.n_features), "sample")


def _shaped(values: Array, shape: tuple[int, ...], name: str) -> Array:
    got = f"an array of shape {values.shape}"
    require(values.shape == shape, f"model.{name}", got=got, expected=f"shape {shape}")
    return values


def require_full_rank(draws: Array, title: str) -> None:
    """Raise if draws ``(n, d)`` span fewer than d dimensions: there is no density of x then."""
    spread = draws - draws.mean(axis=0)
    width = spread.std(axis=0)
    # Scaled, for features of very different units; draws may be those of single precision.
    rank = int(np.linalg.matrix_rank(spread / np.where(width > 0, width, 1.0), rtol=_FLAT))
    require(
        rank == draws.shape[1],
        "model",
        got=f"a {title} whose draws lie in {rank} of {draws.shape[1]} dimensions",
        expected="a density with respect to all features",
        remedy="Leave out the features that are functions of the others.",
    )


def adapt(model: object) -> DensityEstimator:
    """Return `model` as a density estimator: float64, original units, natural logarithms.

    Accepts

    * anything with the protocol itself, and `CallableDensity`: two functions;
    * flows of zuko, nflows and normflows without context, on any device of CPU or CUDA and of any
      precision, and continuous `torch.distributions`: they draw with a stream of the
      generator that `sample` is given, and torch's own is left as it was;
    * frozen continuous scipy distributions of one or several features, `rv_histogram`, scipy's
      newer random variables, and `gaussian_kde`;
    * fitted scikit-learn `KernelDensity`, `GaussianMixture`, `BayesianGaussianMixture` (the
      mixture of its mean parameters), `PCA` and `FactorAnalysis` (normal densities), searches
      over them, and a `Pipeline` that ends in one: the density then has the Jacobian of the steps
      before, and is one of the original units.

    Raises
    ------
    InputError
        If the model is of no known kind, not fitted, cannot be sampled, or if its steps have no
        known Jacobian.

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
    home = _home(model)
    if home is not None:
        found = import_module(f"verisimile.density.strangers.{home}").adapted(model)
        return cast(DensityEstimator, found)
    raise InputError("model", got=_kind(model), expected=_KNOWN, remedy=WRAP)


def adapt_sampler(model: object) -> Sampler:
    """Return `model` as something that draws events: whose density nobody need know.

    Accepts whatever `adapt` does, anything with `n_features` and ``sample(n, rng)``, and a
    function ``f(n, rng)`` that returns events ``(n, d)``, or ``(n,)`` of a single feature.

    Raises
    ------
    InputError
        If the model is none of these, or does not take a generator: two runs of the same seed
        would then differ.

    Examples
    --------
    >>> import numpy as np
    >>> adapt_sampler(lambda n, rng: rng.normal(size=(n, 3))).n_features
    3
    """
    if isinstance(model, Sampler) and isinstance(model.n_features, int | np.integer):
        _require_generator(model.sample, f"{type(model).__name__}.sample")
        return model
    if callable(model) and not isinstance(model, type) and _home(model) is None:
        return _function_sampler(model)
    return adapt(model)


def _require_generator(function: Callable[..., object], name: str) -> None:
    try:
        inspect.signature(function).bind(1, None)
    except (TypeError, ValueError) as error:
        raise InputError(
            "model",
            got=f"{name} ({error})",
            expected="a function of a number n and a numpy.random.Generator",
            remedy="Let it take (n, rng), and all its random numbers from rng.",
        ) from None


def _function_sampler(function: Callable[..., npt.ArrayLike]) -> FunctionSampler:
    name = getattr(function, "__name__", type(function).__name__)
    _require_generator(function, name)
    probe = _drawn(function, _PROBE, np.random.default_rng(0))
    require(
        probe.ndim == 2 and len(probe) == _PROBE and probe.shape[1] > 0,
        "model",
        got=f"the function {name}, whose {_PROBE} events have shape {probe.shape}",
        expected=f"shape ({_PROBE}, d)",
    )
    return FunctionSampler(probe.shape[1], function)


def _drawn(
    function: Callable[[int, np.random.Generator], npt.ArrayLike], n: int, rng: np.random.Generator
) -> Array:
    values = np.array(function(n, rng), dtype=np.float64)
    return values[:, None] if values.ndim == 1 else values


def _home(model: object) -> str | None:
    """Return the file that knows models of this kind, without importing their library."""
    bases = type(model).__mro__
    for library, names, home in _KINDS:
        if any(each.__module__.startswith(library) and each.__name__ in names for each in bases):
            return home
    return None


def _kind(model: object) -> str:
    if isinstance(model, type):
        return f"the class {model.__qualname__}, and not an object of it"
    if inspect.isroutine(model):
        return f"the function {model.__name__} alone"
    return f"a {type(model).__module__}.{type(model).__qualname__}"
