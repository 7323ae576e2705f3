"""The fast evaluation against nflows' own modules, and against its own inverse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from nflows.transforms.autoregressive import MaskedPiecewiseRationalQuadraticAutoregressiveTransform
from nflows.transforms.base import CompositeTransform
from nflows.transforms.permutations import ReversePermutation

from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.density.flows.fast import FastFlow
from verisimile.density.flows.nflows import Architecture, build, export
from verisimile.density.torch_scope import seed_scope

SHAPES = [
    Architecture(d, layers=3, blocks=blocks, hidden=hidden, bins=6, tail_bound=4.0, residual=r)
    for d, blocks, hidden, r in [
        (1, 2, 8, False),
        (1, 1, 8, True),
        (2, 2, 16, False),
        (3, 1, 16, True),
        (4, 2, 64, False),
        (4, 2, 64, True),
        (12, 2, 40, False),
    ]
]


def stack_of(shape: Architecture, seeds: Seeds, *, noise: float = 0.1) -> torch.nn.Module:
    with seed_scope(seeds):
        stack = build(shape)
        generator = torch.Generator().manual_seed(1)
        for parameter in stack.parameters():
            # Away from the almost linear start of nflows.
            parameter.data += noise * torch.randn(parameter.shape, generator=generator)
    return stack.double().requires_grad_(False)


def stock(shape: Architecture, stack: torch.nn.Module) -> torch.nn.Module:
    """Return plain nflows with the same parameters."""
    modules: list[torch.nn.Module] = []
    for layer in range(shape.layers):
        if layer:
            modules.append(ReversePermutation(shape.features))
        with seed_scope(Seeds(0)):
            modules.append(
                MaskedPiecewiseRationalQuadraticAutoregressiveTransform(
                    shape.features,
                    shape.hidden,
                    num_bins=shape.bins,
                    tails="linear",
                    tail_bound=shape.tail_bound,
                    num_blocks=shape.blocks,
                    use_residual_blocks=shape.residual,
                )
            )
    plain: torch.nn.Module = CompositeTransform(modules).double()
    plain.load_state_dict(stack.state_dict())
    return plain.requires_grad_(False)


def fast(shape: Architecture, stack: torch.nn.Module, dtype: torch.dtype) -> FastFlow:
    return FastFlow(shape, export(stack), dtype)


def parameters_in_float32(stack: torch.nn.Module) -> None:
    """Round the parameters to what `export` keeps."""
    for parameter in stack.parameters():
        parameter.data = parameter.data.float().double()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_stock_nflows_inside_the_box(shape: Architecture, seeds: Seeds) -> None:
    stack = stack_of(shape, seeds)
    parameters_in_float32(stack)
    bound = shape.tail_bound
    z = torch.from_numpy(seeds.numpy().uniform(-bound, bound, size=(300, shape.features)))
    expected, log_det = stock(shape, stack)(z)
    u, total = fast(shape, stack, torch.float64).forward(z.T.contiguous())
    torch.testing.assert_close(u.T, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(total, log_det, rtol=0, atol=1e-10)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_training_module_equals_fast_flow_everywhere(shape: Architecture, seeds: Seeds) -> None:
    stack = stack_of(shape, seeds)
    parameters_in_float32(stack)
    z = torch.from_numpy(seeds.numpy().standard_cauchy(size=(500, shape.features)))
    expected, log_det = stack(z)
    u, total = fast(shape, stack, torch.float64).forward(z.T.contiguous())
    torch.testing.assert_close(u.T, expected, rtol=1e-12, atol=1e-10)
    torch.testing.assert_close(total, log_det, rtol=0, atol=1e-10)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_inverse_undoes_forward(shape: Architecture, seeds: Seeds) -> None:
    stack = stack_of(shape, seeds, noise=0.05)
    draws = torch.from_numpy(seeds.numpy().normal(scale=2.5, size=(shape.features, 2000)))
    flow = fast(shape, stack, torch.float64)
    torch.testing.assert_close(flow.inverse(flow.forward(draws)[0]), draws, rtol=0, atol=1e-7)
    flow, z = fast(shape, stack, torch.float32), draws.float()
    gap = (flow.inverse(flow.forward(z)[0]) - z).abs()
    assert torch.isfinite(gap).all()
    # Where the flow is steep in one direction, rounding is magnified in the other.
    assert gap.quantile(0.99) < 1e-3


def test_log_determinant_is_that_of_the_jacobian(seeds: Seeds) -> None:
    shape = SHAPES[3]
    flow = fast(shape, stack_of(shape, seeds), torch.float64)
    point = torch.tensor([0.3, -1.2, 0.8], dtype=torch.float64)
    step = 1e-6
    columns = [
        (
            flow.forward((point + step * e)[:, None])[0]
            - flow.forward((point - step * e)[:, None])[0]
        )
        / (2 * step)
        for e in torch.eye(3, dtype=torch.float64)
    ]
    numeric = torch.linalg.slogdet(torch.cat(columns, dim=1)).logabsdet
    assert float(flow.forward(point[:, None])[1]) == pytest.approx(float(numeric), abs=1e-6)


@pytest.mark.parametrize(
    "change", [{"layers": 0}, {"bins": 1}, {"tail_bound": 0.0}, {"hidden": 2}, {"bins": 101}]
)
def test_impossible_architectures_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="SplineFlow architecture"):
        replace(SHAPES[4], **change)


def test_extreme_parameters_stay_finite_in_float32(seeds: Seeds) -> None:
    shape = SHAPES[4]
    arrays = {k: 40 * v for k, v in export(stack_of(shape, seeds)).items()}
    flow = FastFlow(shape, arrays, torch.float32)
    z = torch.from_numpy(np.float32(seeds.numpy().normal(scale=3, size=(4, 5000))))
    u, total = flow.forward(z)
    assert torch.isfinite(u).all()
    assert torch.isfinite(total).all()
    assert torch.isfinite(flow.inverse(z)).all()
