"""The one door to nflows: masked autoregressive spline layers, with its known failures mended.

nflows 0.14 evaluates its splines through boolean indexing, asserts that a
discriminant is positive (in float32 it need not be), and lets a conditioner
extrapolate without limit.  Here its modules keep parameters, masks and order;
the spline is `rational_quadratic`, and a conditioner sees its input clamped to
the box of the spline, outside of which a layer is the identity.

A conditional flow puts its context columns in front of the features that each
conditioner sees, so that every feature may depend on all of them; only the
features are transformed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import torch
from nflows.transforms.autoregressive import MaskedPiecewiseRationalQuadraticAutoregressiveTransform
from nflows.transforms.base import CompositeTransform
from nflows.transforms.permutations import ReversePermutation
from torch import Tensor

from verisimile.core.canonical import JSON
from verisimile.core.errors import require
from verisimile.density.flows import rational_quadratic as rq

Parameters = dict[str, npt.NDArray[np.float32]]
"""Masked weights and biases: ``{layer}.{linear}.weight`` and ``….bias``."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """Size and shape of a stack of masked autoregressive spline layers.

    `features` is d, and `context` C, the number of columns that are conditions and not
    transformed; all else as in `SplineFlowTrainer`.  A layer is the identity outside
    ``[-B, B]``, B being `tail_bound`; a `residual` block is two linear maps and a shortcut,
    another one a single linear map.
    """

    features: int
    layers: int
    blocks: int
    hidden: int
    bins: int
    tail_bound: float
    residual: bool
    context: int = 0

    def __post_init__(self) -> None:
        counts = (self.features, self.layers, self.blocks, self.hidden)
        sizes_fit = min(counts) >= 1 and self.context >= 0 and 2 <= self.bins <= 100
        require(
            sizes_fit and 0.0 < self.tail_bound < 1e6,
            "SplineFlow architecture",
            got=repr(self),
            expected="positive sizes, 2 to 100 bins, a finite positive tail bound",
        )
        require(
            self.hidden >= self.columns - 1,
            "SplineFlow architecture",
            got=f"{self.hidden} hidden units for {self.columns} columns",
            expected=f"at least {self.columns - 1}, one for each column to condition on",
        )

    @property
    def columns(self) -> int:
        """Return C + d, what a conditioner sees: the context first."""
        return self.context + self.features

    def config(self) -> dict[str, JSON]:
        """Return the fields as JSON; without context, those of an unconditional flow."""
        fields = asdict(self)
        return fields if self.context else {k: v for k, v in fields.items() if k != "context"}


class _GuardedSpline(MaskedPiecewiseRationalQuadraticAutoregressiveTransform):  # type: ignore[misc]
    """The nflows layer with a spline that cannot fail."""

    def forward(self, inputs: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return outputs ``(n, d)`` and the log-determinant ``(n,)``."""
        known = inputs if context is None else torch.cat([context, inputs], dim=1)
        raw = self.autoregressive_net(known.clamp(-self.tail_bound, self.tail_bound))
        own = raw.view(*known.shape, -1)[:, known.shape[1] - inputs.shape[1] :]
        # The spline code has the events last, where memory is contiguous.
        columns = own.permute(1, 2, 0).contiguous()
        values = inputs.T.contiguous()
        table = rq.knots(columns, self.num_bins, self.tail_bound)
        with torch.no_grad():
            index = rq.locate(values, table.x)
        outputs, logs = rq.evaluate(values, rq.gather(table, index))
        return outputs.T, logs.sum(dim=0)

    def inverse(self, inputs: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Raise: sampling goes through `fast.FastFlow`."""
        raise NotImplementedError("a flow is inverted by fast.FastFlow")


class _Conditioned(torch.nn.Module):
    """A stack that is given its context as the first columns of each row."""

    def __init__(self, stack: torch.nn.Module, context: int) -> None:
        super().__init__()
        self.stack = stack
        self.context = context

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs ``(n, d)`` and log-determinants ``(n,)`` of rows ``(n, C + d)``."""
        outputs: tuple[Tensor, Tensor] = self.stack(
            rows[:, self.context :], rows[:, : self.context]
        )
        return outputs


def build(shape: Architecture) -> torch.nn.Module:
    """Return a fresh stack: a module from ``(n, C + d)`` to ``(outputs, log-determinants)``.

    It draws its initial weights from torch's global stream: call it inside
    `torch_scope.seeded`.
    """
    stack: list[torch.nn.Module] = []
    for layer in range(shape.layers):
        if layer:
            stack.append(ReversePermutation(shape.features))
        stack.append(_layer(shape))
    composite: torch.nn.Module = CompositeTransform(stack)
    return _Conditioned(composite, shape.context) if shape.context else composite


def export(stack: torch.nn.Module) -> Parameters:
    """Return the parameters of a stack as arrays, the masks multiplied in."""
    arrays: Parameters = {}
    splines = [module for module in stack.modules() if isinstance(module, _GuardedSpline)]
    for number, spline in enumerate(splines):
        masked = [m for m in spline.autoregressive_net.modules() if hasattr(m, "mask")]
        for name, linear in enumerate(masked):  # in the order of evaluation
            weight, mask, bias = (_array(linear, part) for part in ("weight", "mask", "bias"))
            arrays[f"{number}.{name}.weight"] = weight * mask
            arrays[f"{number}.{name}.bias"] = bias
    return arrays


def _layer(shape: Architecture) -> _GuardedSpline:
    return _GuardedSpline(
        features=shape.columns,
        hidden_features=shape.hidden,
        num_bins=shape.bins,
        tails="linear",
        tail_bound=shape.tail_bound,
        num_blocks=shape.blocks,
        use_residual_blocks=shape.residual,
        # The floors are nflows' own; stated because `fast` must use the same.
        min_bin_width=rq.MIN_SHARE,
        min_bin_height=rq.MIN_SHARE,
        min_derivative=rq.MIN_SLOPE,
    )


def _array(module: torch.nn.Module, name: str) -> npt.NDArray[np.float32]:
    values: Tensor = getattr(module, name)
    return np.array(values.detach().cpu().numpy(), dtype=np.float32)
