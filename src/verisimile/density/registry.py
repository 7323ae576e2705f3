"""Which estimators may be rebuilt from a file: an allow-list, no pickles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import numpy.typing as npt

from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError, require
from verisimile.core.records import Payload
from verisimile.density.protocol import ConditionalDensity, DensityEstimator, Sampler

Model = DensityEstimator | ConditionalDensity | Sampler
"""What a trainer may make and a store may keep."""

Pack = Callable[[Any], Payload]
"""Turns an estimator of the family into arrays and a JSON description."""

Unpack = Callable[[Mapping[str, Any], Mapping[str, npt.NDArray[Any]]], Model]
"""Turns description and arrays back into an equal estimator."""


_FAMILIES: dict[str, tuple[Pack, Unpack]] = {}

# Shipped families register themselves when their module is imported: only when one is met
# in a file, because some of them need scikit-learn.
_HOMES = {
    "autoregressive-mixture": "mixtures.autoregressive",
    "bayesian-flow": "flows.random_weights",
    "conditional-spline-flow": "flows.spline",
    "diffusion": "paths.diffusion",
    "dropout-flow": "flows.random_weights",
    "flow-matching": "paths.flow_matching",
    "gan": "samplers",
    "gaussian-mixture": "mixtures.gaussian",
    "kernel-density": "mixtures.kernel",
    "probability-flow": "paths.probability_flow",
    "spline-flow": "flows.spline",
    "vae": "samplers",
    "zuko-spline-flow": "flows.zuko",
}


def register_family(name: str, pack: Pack, unpack: Unpack) -> None:
    """Allow estimators whose ``family`` attribute is `name` to be stored and rebuilt.

    Call it in the module that defines the class, so that every process that
    can build one can also read one.

    Raises
    ------
    InputError
        If another family has the name.
    """
    known = _FAMILIES.setdefault(name, (pack, unpack))
    require(
        known == (pack, unpack), "register_family", got=f"{name!r} twice", expected="a new name"
    )


def pack(model: Model) -> Payload:
    """Return arrays and description from which `unpack_any` rebuilds `model`."""
    name = getattr(model, "family", type(model).__name__)
    payload = _family(name)[0](model)
    return Payload(payload.arrays, {"family": name, **payload.meta})


def unpack(spec: Mapping[str, JSON], arrays: Mapping[str, npt.NDArray[Any]]) -> DensityEstimator:
    """Return the estimator that `pack` described.

    Raises
    ------
    InputError
        If the family is not registered, or its members are conditional or have no density.
    """
    model = unpack_any(spec, arrays)
    if isinstance(model, ConditionalDensity) or not isinstance(model, DensityEstimator):
        kind = "conditional density" if isinstance(model, ConditionalDensity) else "sampler"
        raise InputError(
            "estimator family",
            got=f"the {kind} {spec.get('family')!r}",
            expected="a density without context",
            remedy="Use unpack_any.",
        )
    return model


def unpack_any(spec: Mapping[str, JSON], arrays: Mapping[str, npt.NDArray[Any]]) -> Model:
    """Return the estimator, conditional density or sampler that `pack` described."""
    return _family(str(spec.get("family")))[1](spec, arrays)


def _family(name: str) -> tuple[Pack, Unpack]:
    if name in _HOMES:
        import_module(f"verisimile.density.{_HOMES[name]}")
    if name not in _FAMILIES:
        raise InputError(
            "estimator family",
            got=repr(name),
            expected=f"one of {sorted(_FAMILIES)}",
            remedy="Import the module that defines it, or call register_family(name, pack, unpack)"
            " and give the class a `family` attribute.",
        )
    return _FAMILIES[name]


def below(prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays whose names begin with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def under(prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays with `prefix` in front of their names: what `below` takes off."""
    return {f"{prefix}{name}": values for name, values in arrays.items()}
