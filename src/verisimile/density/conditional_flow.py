"""`ConditionalSplineFlow`: a spline flow whose conditioners also see a context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

from verisimile.core.arrays import Array, IntArray, as_matrix, frozen
from verisimile.core.canonical import JSON
from verisimile.core.errors import NumericsError, SupportError
from verisimile.core.store import Payload
from verisimile.data.events import Events
from verisimile.density.conditional import as_pair
from verisimile.density.evaluation import from_base, log_base
from verisimile.density.fast_flow import FastFlow
from verisimile.density.flow_density import Precision
from verisimile.density.input_map import InputMap
from verisimile.density.nflows_backend import Architecture
from verisimile.density.registry import register_family

__all__ = ["ConditionalMap", "ConditionalSplineFlow"]

_ROUNDS = 100


@dataclass(frozen=True, slots=True, eq=False)
class ConditionalMap:
    """The fixed first step of a conditional flow: maps of x and of c, fitted apart.

    The density is one of x, so that only the Jacobian of x's map enters.

    Attributes
    ----------
    features, context
        Support, scale and normal scores of x and of c.
    span
        Smallest and largest context of the training events, ``(2, C)``.
    """

    features: InputMap
    context: InputMap
    span: Array

    @classmethod
    def fit(cls, events: Events, context: tuple[str, ...], most_bins: int) -> ConditionalMap:
        """Return the map of these events, of which the columns `context` are conditions."""
        features = [name for name in events.names if name not in context]
        conditions = events.select(context)
        return cls(
            InputMap.fit(events.select(features), most_bins),
            InputMap.fit(conditions, most_bins),
            frozen([conditions.x.min(axis=0), conditions.x.max(axis=0)]),
        )

    def rows(self, x: Array, context: Array) -> tuple[Array, Array]:
        """Return the flow's coordinates ``(n, C + d)`` and x's log-Jacobian ``(n,)``."""
        z, log_jacobian = self.features.forward(x)
        return np.hstack([self.scores(context), z]), log_jacobian

    def scores(self, context: Array) -> Array:
        """Return the coordinates ``(n, C)`` of contexts.

        Raises
        ------
        SupportError
            If a context lies outside the support of its feature.
        """
        inside = self.context.inside(context)
        if not inside.all():
            row = int(np.flatnonzero(~inside)[0])
            raise SupportError(
                "context",
                got=f"{int((~inside).sum())} rows outside the support, the first "
                f"{dict(zip(self.context.chain.names, context[row].tolist(), strict=True))}",
                expected="contexts inside the stated bounds of their features",
                remedy="There is no f(x | c) there: remove these rows.",
            )
        return self.context.forward(context)[0]


class ConditionalSplineFlow:
    r"""A trained conditional flow: input maps, spline layers, standard normal base.

    .. math:: \log p(x \mid c) = \log N(f(z(x); c); 0, 1) + \log |\det f'| + \log |\det z'|

    Beyond the outermost scores of the training contexts the conditioners are
    frozen: f(x | c) is then that of the edge.

    Parameters
    ----------
    shape
        Size of the stack of layers, with its number of context columns.
    parameters
        What `nflows_backend.export` returned.
    input_map
        Maps of x and of c.
    precision
        ``float32`` or ``float64``.
    """

    family = "conditional-spline-flow"

    def __init__(
        self,
        shape: Architecture,
        parameters: Mapping[str, npt.NDArray[np.float32]],
        input_map: ConditionalMap,
        *,
        precision: Precision = "float32",
    ) -> None:
        self.shape = shape
        self.parameters = dict(parameters)
        self.input_map = input_map
        self.precision: Precision = precision

    def __repr__(self) -> str:
        """Return one line: what is given, size and precision."""
        given = f"{', '.join(self.names)} | {', '.join(self.context_names)}"
        return f"ConditionalSplineFlow({given}; {self.shape}, {self.precision})"

    def __reduce__(self) -> tuple[Any, ...]:
        payload = _pack(self)
        return (_unpack, (payload.meta, payload.arrays))

    @property
    def n_features(self) -> int:
        """Number of features d of x."""
        return self.shape.features

    @property
    def n_context(self) -> int:
        """Number of context columns C."""
        return self.shape.context

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features."""
        return self.input_map.features.chain.names

    @property
    def context_names(self) -> tuple[str, ...]:
        """Names of the context columns."""
        return self.input_map.context.chain.names

    @property
    def context_range(self) -> Array:
        """Smallest and largest training context ``(2, C)``."""
        return self.input_map.span

    def reference(self) -> ConditionalSplineFlow:
        """Return the same flow, evaluated in float64."""
        return ConditionalSplineFlow(
            self.shape, self.parameters, self.input_map, precision="float64"
        )

    def log_prob(self, x: npt.ArrayLike, context: npt.ArrayLike) -> Array:
        """Return natural log-densities ``(n,)`` of x at c; −inf outside the support of x.

        Raises
        ------
        InputError
            If the arguments are not finite matrices ``(n, d)`` and ``(n, C)``.
        SupportError
            If a context is impossible.
        """
        events, conditions = as_pair(x, context, shape=(self.n_features, self.n_context))
        inside = self.input_map.features.inside(events)
        out = np.full(len(events), -np.inf)
        if inside.any():
            rows, log_jacobian = self.input_map.rows(events[inside], conditions[inside])
            out[inside] = log_base(self._fast, rows) + log_jacobian
        return out

    def sample(self, context: npt.ArrayLike, rng: np.random.Generator) -> Array:
        """Return one event per row of `context` ``(n, C)``, all inside the support ``(n, d)``.

        Raises
        ------
        SupportError
            If a context is impossible.
        NumericsError
            If the flow keeps giving events outside the support.
        """
        scores = self.input_map.scores(as_matrix(context, "context", columns=self.n_context))
        x = self._draw(scores, rng, self._fast)
        failed = self._failed(x)
        for _ in range(_ROUNDS):
            if not failed.size:
                return x
            x[failed] = self._draw(scores[failed], rng, self.reference()._fast)
            failed = failed[self._failed(x[failed])]
        raise NumericsError(
            "ConditionalSplineFlow.sample",
            got=f"{failed.size} of {len(x)} events outside the support in {_ROUNDS} rounds",
            expected="events inside the support",
            remedy="Let the transform of bounded features be 'auto', and train again.",
        )

    @cached_property
    def _fast(self) -> FastFlow:
        return FastFlow(self.shape, self.parameters, getattr(torch, self.precision))

    def _draw(self, scores: Array, rng: np.random.Generator, fast: FastFlow) -> Array:
        u = rng.standard_normal((len(scores), self.n_features))
        return self.input_map.features.inverse(from_base(fast, np.hstack([scores, u])))

    def _failed(self, x: Array) -> IntArray:
        # NaN is outside too.
        return np.flatnonzero(~self.input_map.features.inside(x)).astype(np.int64)


def _pack(flow: ConditionalSplineFlow) -> Payload:
    maps = flow.input_map
    arrays: dict[str, npt.NDArray[Any]] = {f"flow.{k}": v for k, v in flow.parameters.items()}
    arrays |= {f"x.{name}": values for name, values in maps.features.arrays().items()}
    arrays |= {f"c.{name}": values for name, values in maps.context.arrays().items()}
    return Payload(
        {**arrays, "span": maps.span},
        {
            "shape": flow.shape.config(),
            "features": maps.features.config(),
            "context": maps.context.config(),
            "precision": flow.precision,
        },
    )


def _unpack(
    spec: Mapping[str, JSON], arrays: Mapping[str, npt.NDArray[Any]]
) -> ConditionalSplineFlow:
    # The shape of stored JSON is only known once it has been used.
    loose = cast(Mapping[str, Any], spec)
    maps = ConditionalMap(
        InputMap.of(loose["features"], _below("x.", arrays)),
        InputMap.of(loose["context"], _below("c.", arrays)),
        frozen(arrays["span"]),
    )
    shape, parameters = Architecture(**loose["shape"]), _below("flow.", arrays)
    return ConditionalSplineFlow(shape, parameters, maps, precision=loose["precision"])


def _below(prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


register_family(ConditionalSplineFlow.family, _pack, _unpack)
