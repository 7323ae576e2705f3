"""Which estimators may be rebuilt from a file: an allow-list, no pickles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy.typing as npt

from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError
from verisimile.core.records import Payload
from verisimile.density.protocol import ConditionalDensity, DensityEstimator, Sampler

Model = DensityEstimator | ConditionalDensity | Sampler
"""What a trainer may make and a store may keep."""

Pack = Callable[[Any], Payload]
"""Turns an estimator of the family into arrays and a JSON description."""

Unpack = Callable[[Mapping[str, JSON], Mapping[str, npt.NDArray[Any]]], Model]
"""Turns the two back into an equal estimator."""


@dataclass(frozen=True, slots=True)
class _Family:
    pack: Pack
    unpack: Unpack


_FAMILIES: dict[str, _Family] = {}

# Shipped families that register themselves when their module is imported: only when
# one is met in a file, because some of them need scikit-learn.
_HOMES = {
    "autoregressive-mixture": "mixtures.autoregressive",
    "bayesian-flow": "flows.random_weights",
    "diffusion": "paths.diffusion",
    "dropout-flow": "flows.random_weights",
    "flow-matching": "paths.flow_matching",
    "gan": "samplers.decoder",
    "gaussian-mixture": "mixtures.gaussian",
    "kernel-density": "mixtures.kernel",
    "vae": "samplers.decoder",
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
    known = _FAMILIES.setdefault(name, _Family(pack, unpack))
    if known != _Family(pack, unpack):
        raise InputError("register_family", got=f"{name!r} twice", expected="a new name")


def pack(model: Model) -> Payload:
    """Return arrays and description from which `unpack_any` rebuilds `model`.

    Raises
    ------
    InputError
        If the model's family is not registered.
    """
    name = getattr(model, "family", type(model).__name__)
    payload = _family(name).pack(model)
    return Payload(payload.arrays, {"family": name, **payload.meta})


def unpack(spec: Mapping[str, JSON], arrays: Mapping[str, npt.NDArray[Any]]) -> DensityEstimator:
    """Return the estimator that `pack` described.

    Raises
    ------
    InputError
        If the family is not registered, or its members are conditional densities
        or have no density.
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
    """Return the estimator, conditional density or sampler that `pack` described.

    Raises
    ------
    InputError
        If the family is not registered.
    """
    return _family(str(spec.get("family"))).unpack(spec, arrays)


def _family(name: str) -> _Family:
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
