r"""Flows with random weights: a Gaussian or a dropout posterior, whose draws are ordinary flows.

.. math:: p(x) = \int p(x \mid w)\, q(w)\, dw \approx \frac1K \sum_k p(x \mid w_k),
          \qquad w_k \sim q

Each draw :math:`w_k` is a `SplineFlow`: a member like any other of an ensemble
or of the :math:`w_i f_i` fit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from verisimile.core.arrays import Array, as_matrix
from verisimile.core.canonical import JSON
from verisimile.core.random import Seeds
from verisimile.core.records import Payload
from verisimile.density.flows.nflows import Architecture, Parameters
from verisimile.density.flows.spline import SplineFlow
from verisimile.density.input_map import InputMap
from verisimile.density.registry import register_family


class PosteriorFlow(ABC):
    """A spline flow whose weights have a distribution.

    As a density estimator it is the average of a fixed number of draws, the
    same ones in every process; `draw` and `members` give further ones.

    Parameters
    ----------
    shape
        Size of the stack of layers.
    input_map
        Support, standardisation and normal scores, the same for all draws.
    draws
        K of the average.
    entropy
        Seed of the K draws.
    """

    family: str

    def __init__(
        self, shape: Architecture, input_map: InputMap, *, draws: int, entropy: int
    ) -> None:
        self.shape = shape
        self.input_map = input_map
        self.draws = draws
        self.entropy = entropy

    def __repr__(self) -> str:
        """Return one line: size and number of draws."""
        return f"{type(self).__name__}({self.shape}, draws={self.draws})"

    def __reduce__(self) -> tuple[Any, ...]:
        payload = _pack(self)
        return (_rebuild, (type(self), payload.meta, payload.arrays))

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return self.shape.features

    def draw(self, rng: np.random.Generator) -> SplineFlow:
        """Return the flow of one draw of the weights."""
        return SplineFlow(self.shape, self._weights(rng), self.input_map)

    def members(self, count: int, seeds: Seeds) -> tuple[SplineFlow, ...]:
        """Return independent draws; number i is the same whatever the count."""
        return tuple(self.draw(seeds.at("posterior", i).numpy()) for i in range(count))

    def log_prob(self, x: npt.ArrayLike) -> Array:
        """Return natural log-densities ``(n,)`` of the average over the draws.

        Raises
        ------
        InputError
            If `x` is not a finite matrix ``(n, d)``.
        """
        matrix = as_matrix(x, "x", columns=self.n_features)
        logs = np.stack([flow.log_prob(matrix) for flow in self._fixed])
        with np.errstate(divide="ignore"):  # zero under all draws is zero
            return np.asarray(logsumexp(logs, axis=0) - np.log(self.draws))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` events ``(n, d)``, each from a random one of the draws."""
        which = rng.integers(self.draws, size=n)
        x = np.empty((n, self.n_features))
        for k, flow in enumerate(self._fixed):
            own = which == k
            x[own] = flow.sample(int(own.sum()), rng)
        return x

    @cached_property
    def _fixed(self) -> tuple[SplineFlow, ...]:
        return self.members(self.draws, Seeds(self.entropy))

    @abstractmethod
    def _weights(self, rng: np.random.Generator) -> Parameters:
        """Return one draw of the layers' parameters."""

    @abstractmethod
    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return the parameters of the posterior."""

    @abstractmethod
    def settings(self) -> dict[str, JSON]:
        """Return what the constructor needs besides."""


class BayesianFlow(PosteriorFlow):
    r"""Independent Gaussians over all weights: :math:`q(w) = \prod_j N(w_j; \mu_j, \sigma_j)`.

    Parameters
    ----------
    mean, spread
        :math:`\mu` and :math:`\sigma` by the names of `nflows_backend.export`;
        masked weights have both zero.
    shape, input_map, draws, entropy
        See `PosteriorFlow`.

    References
    ----------
    Blundell et al., *Weight Uncertainty in Neural Networks* (2015).
    """

    family = "bayesian-flow"

    def __init__(
        self,
        shape: Architecture,
        input_map: InputMap,
        *,
        mean: Parameters,
        spread: Parameters,
        draws: int,
        entropy: int,
    ) -> None:
        super().__init__(shape, input_map, draws=draws, entropy=entropy)
        self.mean = mean
        self.spread = spread

    def _weights(self, rng: np.random.Generator) -> Parameters:
        return {
            name: self.mean[name] + self.spread[name] * _normal(rng, self.mean[name].shape)
            for name in sorted(self.mean)
        }

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return means and standard deviations."""
        return {
            **{f"mean.{name}": values for name, values in self.mean.items()},
            **{f"spread.{name}": values for name, values in self.spread.items()},
        }

    def settings(self) -> dict[str, JSON]:
        """Return nothing: the arrays say all."""
        return {}


class DropoutFlow(PosteriorFlow):
    r"""Hidden units that are absent at random: a draw keeps each with probability 1 − p.

    A draw fixes the mask for all events: :math:`W \to W \mathrm{diag}(m) / (1 - p)`,
    with m of the units behind each block.

    Parameters
    ----------
    parameters
        What `nflows_backend.export` returned.
    probability
        p.
    shape, input_map, draws, entropy
        See `PosteriorFlow`.

    References
    ----------
    Gal and Ghahramani, *Dropout as a Bayesian Approximation* (2016).
    """

    family = "dropout-flow"

    def __init__(
        self,
        shape: Architecture,
        input_map: InputMap,
        *,
        parameters: Parameters,
        probability: float,
        draws: int,
        entropy: int,
    ) -> None:
        super().__init__(shape, input_map, draws=draws, entropy=entropy)
        self.parameters = parameters
        self.probability = probability

    def _weights(self, rng: np.random.Generator) -> Parameters:
        weights = dict(self.parameters)
        keep = 1.0 - self.probability
        for layer in range(self.shape.layers):
            # Map 0 is the first linear one, which has no dropout behind it.
            for number in range(2, self.shape.blocks + 2):
                name = f"{layer}.{number}.weight"
                mask = (rng.random(self.shape.hidden) < keep) / keep
                weights[name] = weights[name] * mask.astype(np.float32)
        return weights

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return the weights without dropout."""
        return {f"flow.{name}": values for name, values in self.parameters.items()}

    def settings(self) -> dict[str, JSON]:
        """Return the probability."""
        return {"probability": self.probability}


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    return rng.standard_normal(shape, dtype=np.float32)


def _pack(flow: PosteriorFlow) -> Payload:
    return Payload(
        {**flow.arrays(), **flow.input_map.arrays()},
        {
            "shape": flow.shape.config(),
            "input_map": flow.input_map.config(),
            "draws": flow.draws,
            "entropy": flow.entropy,
            "settings": flow.settings(),
        },
    )


def _rebuild(
    kind: type[PosteriorFlow], spec: Mapping[str, JSON], arrays: Mapping[str, npt.NDArray[Any]]
) -> PosteriorFlow:
    # The shape of stored JSON is only known once it has been used.
    loose = cast(Mapping[str, Any], spec)
    shape, input_map = Architecture(**loose["shape"]), InputMap.of(loose["input_map"], arrays)
    number = {"draws": int(loose["draws"]), "entropy": int(loose["entropy"])}
    if issubclass(kind, BayesianFlow):
        mean, spread = (_named(arrays, prefix) for prefix in ("mean.", "spread."))
        return kind(shape, input_map, mean=mean, spread=spread, **number)
    return DropoutFlow(
        shape,
        input_map,
        parameters=_named(arrays, "flow."),
        probability=float(loose["settings"]["probability"]),
        **number,
    )


def _named(arrays: Mapping[str, npt.NDArray[Any]], prefix: str) -> Parameters:
    return {
        name.removeprefix(prefix): values
        for name, values in arrays.items()
        if name.startswith(prefix)
    }


def _unpack_bayesian(
    spec: Mapping[str, JSON], arrays: Mapping[str, npt.NDArray[Any]]
) -> PosteriorFlow:
    return _rebuild(BayesianFlow, spec, arrays)


def _unpack_dropout(
    spec: Mapping[str, JSON], arrays: Mapping[str, npt.NDArray[Any]]
) -> PosteriorFlow:
    return _rebuild(DropoutFlow, spec, arrays)


register_family(BayesianFlow.family, _pack, _unpack_bayesian)
register_family(DropoutFlow.family, _pack, _unpack_dropout)
