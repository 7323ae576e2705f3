"""A density (or sampler) of standardised coordinates, carried to the features' own units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, as_matrix
from verisimile.core.canonical import JSON
from verisimile.core.errors import NumericsError
from verisimile.core.records import Payload
from verisimile.density.input_map import InputMap
from verisimile.density.registry import register_family

_ROUNDS = 100


class Core(Protocol):
    """What draws standardised coordinates, and can be written down."""

    @property
    def family(self) -> str:
        """Name in the registry."""
        ...

    @property
    def n_features(self) -> int:
        """Number of features d."""
        ...

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return coordinates ``(n, d)``."""
        ...

    def payload(self) -> Payload:
        """Return arrays and settings from which the core is rebuilt."""
        ...


class DensityCore(Core, Protocol):
    """A core that knows the density of its coordinates."""

    def log_prob(self, z: Array) -> Array:
        """Return log-densities ``(n,)``, never NaN."""
        ...


class MappedSampler:
    """A sampler in the features' units.

    A row that the core could not make comes back as NaN: whoever draws counts
    it, since dropping it would flatter the generator.

    Parameters
    ----------
    core
        Sampler of standardised coordinates.
    input_map
        From features to coordinates, fitted on the training events.
    """

    def __init__(self, core: Core, input_map: InputMap) -> None:
        self.core = core
        self.input_map = input_map

    def __repr__(self) -> str:
        """Return the name of the family."""
        return f"{type(self).__name__}({self.family}, d={self.n_features})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.core, self.input_map))

    @property
    def family(self) -> str:
        """Name in the registry."""
        return self.core.family

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return self.core.n_features

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` events ``(n, d)``; a row that failed is NaN throughout."""
        if n == 0:
            return np.zeros((0, self.n_features))
        z = self.core.sample(n, rng)
        good = np.isfinite(z).all(axis=1)
        x = np.full(z.shape, np.nan)
        if good.any():
            x[good] = self.input_map.inverse(z[good])
        return x


class MappedDensity(MappedSampler):
    r"""A density estimator in the features' units.

    .. math:: \log p(x) = \log q(z(x)) + \log |\det z'(x)|

    Parameters
    ----------
    core
        Density q of standardised coordinates.
    input_map
        z, fitted on the training events.
    """

    core: DensityCore

    def __init__(self, core: DensityCore, input_map: InputMap) -> None:
        super().__init__(core, input_map)

    def log_prob(self, x: npt.ArrayLike) -> Array:
        """Return natural log-densities ``(n,)`` in original units; −inf outside the support.

        Raises
        ------
        InputError
            If `x` is not a finite matrix ``(n, d)``.
        """
        matrix = as_matrix(x, "x", columns=self.n_features)
        inside = self.input_map.inside(matrix)
        out = np.full(len(matrix), -np.inf)
        if inside.any():
            z, log_jacobian = self.input_map.forward(matrix[inside])
            # Overflow far outside is an honest minus infinity.
            with np.errstate(over="ignore", under="ignore"):
                out[inside] = self.core.log_prob(z) + log_jacobian
        return out

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` events ``(n, d)``, all finite and inside the support.

        Raises
        ------
        NumericsError
            If the model keeps giving events that are not.
        """
        x = super().sample(n, rng)
        failed = np.flatnonzero(~self.input_map.inside(x))
        for _ in range(_ROUNDS):
            if not failed.size:
                return x
            x[failed] = super().sample(failed.size, rng)
            failed = failed[~self.input_map.inside(x[failed])]
        raise NumericsError(
            f"{self.family}.sample",
            got=f"{failed.size} of {n} events outside the support in {_ROUNDS} rounds",
            expected="events inside the support",
            remedy="Let the transform of bounded features be 'auto', and train again.",
        )


Rebuild = Callable[[Mapping[str, Any], Mapping[str, npt.NDArray[Any]]], Any]
"""Turns settings and arrays of a core back into an equal core."""


def register_core(family: str, kind: type[MappedSampler], rebuild: Rebuild) -> None:
    """Allow mapped models with cores of this family to be stored and rebuilt."""

    def unpack(spec: Mapping[str, JSON], arrays: Mapping[str, npt.NDArray[Any]]) -> Any:  # noqa: ANN401
        loose = cast(Mapping[str, Any], spec)
        own = {
            name.removeprefix("core."): values
            for name, values in arrays.items()
            if name.startswith("core.")
        }
        return kind(rebuild(loose["core"], own), InputMap.of(loose["input_map"], arrays))

    register_family(family, _pack, unpack)


def _pack(model: MappedSampler) -> Payload:
    payload = model.core.payload()
    arrays = {f"core.{name}": values for name, values in payload.arrays.items()}
    return Payload(
        {**arrays, **model.input_map.arrays()},
        {"core": dict(payload.meta), "input_map": model.input_map.config()},
    )
