r"""Steps of a scikit-learn pipeline before a density, with their Jacobians.

One-to-one maps of the features whose :math:`\log |\det T'|` is known: scalings,

.. math:: z = (x - a) / s, \quad \log |\det T'| = -\sum_k \log |s_k| ,

turns by a `PCA` that keeps all its components, and the power maps of Yeo and Johnson,
:math:`\log T' = \mathrm{sign}(x)\,(\lambda - 1) \log(1 + |x|)`, and of Box and Cox,
:math:`(\lambda - 1) \log x`.  All else is refused with its reason: a density without its
Jacobian is one of other units, and wrong by a factor that depends on x.

References
----------
Yeo and Johnson, Biometrika 87 (2000) 954; Box and Cox, J. R. Stat. Soc. B 26 (1964) 211.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from verisimile.core.arrays import Array, BoolArray
from verisimile.core.errors import InputError
from verisimile.density.adapters import WRAP

_SCALERS: dict[str, Callable[[Any], Any]] = {  # what each divides by
    "StandardScaler": lambda made: 1.0 if made.scale_ is None else made.scale_,
    "MaxAbsScaler": lambda made: made.scale_,
    "RobustScaler": lambda made: 1.0 if made.scale_ is None else made.scale_,
    "MinMaxScaler": lambda made: 1.0 / made.scale_,  # it multiplies
}
_FAR = 1e150  # its square is a number, which scikit-learn insists on; densities are zero before


@contextmanager
def quietly() -> Iterator[None]:
    """Let a model that was fitted on a table take an array: columns are in its order."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        yield


@dataclass(frozen=True, slots=True)
class Step:
    """A fitted transformer, and the logarithm of its slope.

    `slope` takes ``(n, d)`` to ``(n,)``; the map acts on values between `least` and `most`.
    """

    made: Any
    slope: Callable[[Array], Array]
    least: float = -np.inf
    most: float = np.inf

    def domain(self, x: Array) -> BoolArray:
        """Return which rows ``(n,)`` the map is defined for."""
        return np.asarray(((x > self.least) & (x < self.most)).all(axis=1))

    def forward(self, x: Array) -> Array:
        """Return the mapped events ``(n, d)``."""
        if not len(x):
            return x
        with quietly():
            return np.asarray(self.made.transform(x), dtype=np.float64)

    def log_slope(self, x: Array) -> Array:
        """Return ``log |det T'|`` at events, ``(n,)``."""
        return self.slope(x)

    def backward(self, z: Array) -> Array:
        """Return the events ``(n, d)`` that are mapped to `z`."""
        with quietly():
            return np.asarray(self.made.inverse_transform(z), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _ConstantSlope:
    value: float

    def __call__(self, x: Array) -> Array:
        return np.full(len(x), self.value)


@dataclass(frozen=True, slots=True)
class _PowerSlope:
    exponents: Array  # λ, (d,)
    constant: float  # of the standardisation that follows
    box_cox: bool

    def __call__(self, x: Array) -> Array:
        logs = np.log(x) if self.box_cox else np.sign(x) * np.log1p(np.abs(x))
        return np.asarray(logs @ (self.exponents - 1.0) + self.constant)


def step_of(name: str, made: Any) -> Step:  # noqa: ANN401  (a stranger)
    """Return the step of a fitted transformer.

    Raises
    ------
    InputError
        If it is not fitted, not one-to-one, or if its Jacobian is not known.
    """
    kind = type(made).__name__
    if kind not in (*_SCALERS, "PCA", "PowerTransformer"):
        raise _refused(name, kind, "whose Jacobian is not known or zero")
    if not hasattr(made, "n_features_in_"):
        raise _refused(name, kind, "that is not fitted", remedy="Call the pipeline's fit(x) first.")
    if kind == "PCA":
        return _turn(name, made)
    if kind == "PowerTransformer":
        return _power(name, made)
    if getattr(made, "clip", False):
        raise _refused(name, kind, "that clips, so that many events have one image")
    scale = np.broadcast_to(_SCALERS[kind](made), (made.n_features_in_,))
    return Step(made, _ConstantSlope(-float(np.log(np.abs(scale)).sum())))


def _turn(name: str, made: Any) -> Step:  # noqa: ANN401  (a stranger)
    d = int(made.n_features_in_)
    if made.n_components_ < d:
        raise _refused(name, "PCA", f"that keeps {made.n_components_} of {d} components")
    # An orthogonal turn has no stretch; whitening divides by the components' widths.
    stretch = -0.5 * float(np.log(made.explained_variance_).sum()) if made.whiten else 0.0
    return Step(made, _ConstantSlope(stretch))


def _power(name: str, made: Any) -> Step:  # noqa: ANN401  (a stranger)
    exponents = np.asarray(made.lambdas_, dtype=np.float64)
    box_cox = made.method == "box-cox"
    whole = exponents == 0.0 if box_cox else (exponents >= 0.0) & (exponents <= 2.0)
    if not whole.all():
        raise _refused(
            name,
            "PowerTransformer",
            f"whose image is bounded (method {made.method!r}, exponents "
            f"{np.round(exponents, 3).tolist()}): a density that reaches beyond loses mass there",
        )
    scale = made._scaler.scale_ if made.standardize else np.ones(1)
    constant = -float(np.log(np.broadcast_to(scale, exponents.shape)).sum())
    return Step(
        made, _PowerSlope(exponents, constant, box_cox), least=0.0 if box_cox else -_FAR, most=_FAR
    )


def _refused(name: str, kind: str, reason: str, remedy: str = "") -> InputError:
    return InputError(
        f"step {name!r} of the pipeline",
        got=f"a {kind} {reason}",
        expected=f"one of {', '.join((*_SCALERS, 'PCA'))} or PowerTransformer, one-to-one",
        remedy=remedy or f"Leave it out, or write its Jacobian yourself. {WRAP}",
    )
