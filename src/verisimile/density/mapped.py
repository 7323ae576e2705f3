"""A density (or sampler) of standardised coordinates, carried to the features' own units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, as_matrix
from verisimile.core.records import Payload
from verisimile.density.input_map import InputMap
from verisimile.density.protocol import Sampler
from verisimile.density.registry import below, register_family, under


class WithoutCache:
    """A dataclass that travels between processes as its fields, without what it has cached."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        own = fields(cast(Any, self))
        return (type(self), tuple(getattr(self, field.name) for field in own if field.init))


class Core(Sampler, Protocol):
    """What draws standardised coordinates ``(n, d)``, and can be written down."""

    @property
    def family(self) -> str:
        """Name in the registry."""

    def payload(self) -> Payload:
        """Return arrays and settings from which the core is rebuilt."""


class DensityCore(Core, Protocol):
    """A core that knows the density of its coordinates."""

    def log_prob(self, z: Array) -> Array:
        """Return log-densities ``(n,)``, never NaN."""


@dataclass(eq=False, repr=False)
class MappedSampler(WithoutCache):
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

    core: Core
    input_map: InputMap

    def __repr__(self) -> str:
        """Return the name of the family."""
        return f"{type(self).__name__}({self.family}, d={self.n_features})"

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


@dataclass(eq=False, repr=False)
class MappedDensity(MappedSampler):
    r"""A density estimator in the features' units.

    .. math:: \log p(x) = \log q(z(x)) + \log |\det z'(x)|

    with the density q of the core and the input map z.
    """

    core: DensityCore

    def log_prob(self, x: npt.ArrayLike) -> Array:
        """Return natural log-densities ``(n,)`` in original units; −inf outside the support."""
        matrix = as_matrix(x, "x", columns=self.n_features)
        return self.input_map.log_density(matrix, lambda z, _: self.core.log_prob(z))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` events ``(n, d)``, all finite and inside the support."""
        draw = super().sample
        return self.input_map.draws_inside(
            draw(n, rng), lambda failed: draw(failed.size, rng), self.family
        )


Rebuild = Callable[[Mapping[str, Any], Mapping[str, npt.NDArray[Any]]], Any]
"""Turns settings and arrays of a core back into an equal core."""


def register_core(family: str, kind: type[MappedSampler], rebuild: Rebuild) -> None:
    """Allow mapped models with cores of this family to be stored and rebuilt."""

    def unpack(spec: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> MappedSampler:
        core = rebuild(spec["core"], below("core.", arrays))
        return kind(core, InputMap.restored(spec, arrays))

    register_family(family, _pack, unpack)


def _pack(model: MappedSampler) -> Payload:
    core, maps = model.core.payload(), model.input_map.payload()
    return Payload(
        {**under("core.", core.arrays), **maps.arrays}, {"core": dict(core.meta), **maps.meta}
    )
