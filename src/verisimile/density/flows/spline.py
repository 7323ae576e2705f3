"""`SplineFlow`: masked autoregressive splines as a density, given a context or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from verisimile.core.arrays import Array, BoolArray, as_matrix, frozen
from verisimile.core.errors import SupportError
from verisimile.core.records import Payload
from verisimile.data.events import Events
from verisimile.density.flows.compiled import CompiledFlow, compiles
from verisimile.density.flows.fast import FastFlow
from verisimile.density.flows.nflows import Architecture
from verisimile.density.input_map import InputMap
from verisimile.density.protocol import as_pair
from verisimile.density.registry import below, pack, register_family, under, unpack_any

Precision = Literal["float32", "float64"]


_BLOCK = 65_536
"""Events at a time: maps and layers need about 100 bytes per event and column beside the result."""


def _blocks(n: int) -> list[slice]:
    return [slice(start, start + _BLOCK) for start in range(0, max(n, 1), _BLOCK)]


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

    @classmethod
    def restored(
        cls, spec: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
    ) -> ConditionalMap:
        """Return the map that `payload` described."""
        return cls(
            InputMap.restored({"input_map": spec["features"]}, below("x.", arrays)),
            InputMap.restored({"input_map": spec["context"]}, below("c.", arrays)),
            frozen(arrays["span"]),
        )

    def payload(self) -> Payload:
        """Return both maps and the span."""
        x, c = self.features.payload(), self.context.payload()
        return Payload(
            {**under("x.", x.arrays), **under("c.", c.arrays), "span": self.span},
            {"features": x.meta["input_map"], "context": c.meta["input_map"]},
        )

    def rows(self, events: Events) -> tuple[Array, Array]:
        """Return coordinates ``(n, C + d)`` of events with their context, and x's log-Jacobian."""
        x, context = (events.select(m.chain.names).x for m in (self.features, self.context))
        z, log_jacobian = self.features.forward(x)
        return np.hstack([self.scores_of(context), z]), log_jacobian

    def scores_of(self, context: Array) -> Array:
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


Map = TypeVar("Map", bound=InputMap | ConditionalMap)


class SplineDensity(Generic[Map]):
    r"""A trained flow of d features, given C ≥ 0 context columns: maps, spline layers, base.

    .. math:: \log p(x \mid c) = \log N(f(z(x); c); 0, 1) + \log |\det f'| + \log |\det z'|

    The layers are evaluated in `precision`; input maps, Jacobians and the sum
    over features always in float64.  Outside the box of the splines the flow is
    the identity with frozen conditioners, so every finite `x` has a density.
    Beyond the outermost scores of the training contexts the conditioners are
    frozen too: f(x | c) is then that of the edge.

    Parameters
    ----------
    shape
        Size of the stack of layers, with its number of context columns.
    parameters
        What `nflows.export` returned.
    input_map
        Support, standardisation and normal scores of x, and of c if there is one.
    precision
        ``float32`` (fast; the difference is measured when the flow is trained)
        or ``float64``.
    """

    family: ClassVar[str]

    def __init__(
        self,
        shape: Architecture,
        parameters: Mapping[str, npt.NDArray[np.float32]],
        input_map: Map,
        *,
        precision: Precision = "float32",
    ) -> None:
        self.shape = shape
        self.parameters = dict(parameters)
        self.input_map = input_map
        self.precision: Precision = precision

    def __reduce__(self) -> tuple[Any, ...]:
        payload = pack(self)  # type: ignore[arg-type]
        return (unpack_any, (payload.meta, payload.arrays))

    @property
    def n_features(self) -> int:
        """Number of features d of x."""
        return self.shape.features

    def reference(self) -> Self:
        """Return the same flow, evaluated in float64."""
        return type(self)(self.shape, self.parameters, self.input_map, precision="float64")

    def _log_prob(self, x: Array, context: Array) -> Array:
        return np.concatenate([self._log_block(x[r], context[r]) for r in _blocks(len(x))])

    def _log_block(self, x: Array, context: Array) -> Array:
        def log_q(z: Array, inside: BoolArray) -> Array:
            return self._fast.log_base(np.hstack([self.input_map.scores_of(context[inside]), z]))

        return self.input_map.features.log_density(x, log_q)

    def _sample(self, scores: Array, rng: np.random.Generator) -> Array:
        """Return one event per row of scores ``(n, C)``, all inside the support."""
        return self.input_map.features.draws_inside(
            self._draw(scores, rng, self._fast),
            lambda failed: self._draw(scores[failed], rng, self.reference()._fast),
            type(self).__name__,
        )

    def _draw(
        self, scores: Array, rng: np.random.Generator, fast: FastFlow | CompiledFlow
    ) -> Array:
        drawn = []
        for rows in _blocks(len(scores)):
            u = rng.standard_normal((len(scores[rows]), self.n_features))
            z = fast.from_base(np.hstack([scores[rows], u]))
            drawn.append(self.input_map.features.inverse(z))
        return np.concatenate(drawn)

    @cached_property
    def _fast(self) -> FastFlow | CompiledFlow:
        if compiles(self.shape):
            return CompiledFlow(self.shape, self.parameters, self.precision)
        return FastFlow(self.shape, self.parameters, getattr(torch, self.precision))


class SplineFlow(SplineDensity[InputMap]):
    """A flow without context; see `SplineDensity`."""

    family = "spline-flow"

    def __repr__(self) -> str:
        """Return one line: size and precision."""
        return f"SplineFlow({self.shape}, {self.precision})"

    def log_prob(self, x: npt.ArrayLike) -> Array:
        """Return natural log-densities ``(n,)`` in original units; −inf outside the support."""
        matrix = as_matrix(x, "x", columns=self.n_features)
        return self._log_prob(matrix, matrix[:, :0])

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` events ``(n, d)``, all finite and inside the support; else NumericsError."""
        return self._sample(np.empty((n, 0)), rng)


class ConditionalSplineFlow(SplineDensity[ConditionalMap]):
    """A flow of x given c; see `SplineDensity`."""

    family = "conditional-spline-flow"

    def __repr__(self) -> str:
        """Return one line: what is given, size and precision."""
        given = f"{', '.join(self.names)} | {', '.join(self.context_names)}"
        return f"ConditionalSplineFlow({given}; {self.shape}, {self.precision})"

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

    def log_prob(self, x: npt.ArrayLike, context: npt.ArrayLike) -> Array:
        """Return natural log-densities ``(n,)`` of x at c; −inf outside the support of x.

        Raises
        ------
        SupportError
            If a context is impossible.
        """
        return self._log_prob(*as_pair(x, context, shape=(self.n_features, self.n_context)))

    def sample(self, context: npt.ArrayLike, rng: np.random.Generator) -> Array:
        """Return one event per row of `context` ``(n, C)``, all inside the support ``(n, d)``.

        Raises
        ------
        SupportError
            If a context is impossible.
        """
        rows = as_matrix(context, "context", columns=self.n_context)
        return self._sample(self.input_map.scores_of(rows), rng)


def _pack(flow: SplineDensity[Any]) -> Payload:
    maps = flow.input_map.payload()
    return Payload(
        {**under("flow.", flow.parameters), **maps.arrays},
        {"shape": flow.shape.config(), **maps.meta, "precision": flow.precision},
    )


def _unpack(
    kind: Callable[..., Any],
    maps: type[InputMap | ConditionalMap],
    spec: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
) -> Any:  # noqa: ANN401  (a flow of this kind)
    return kind(
        Architecture(**spec["shape"]),
        below("flow.", arrays),
        maps.restored(spec, arrays),
        precision=spec["precision"],
    )


register_family(SplineFlow.family, _pack, partial(_unpack, SplineFlow, InputMap))
register_family(
    ConditionalSplineFlow.family, _pack, partial(_unpack, ConditionalSplineFlow, ConditionalMap)
)
