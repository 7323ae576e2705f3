"""The compiled spline stack against torch, at every level of the processor's instructions."""

from __future__ import annotations

import ctypes
import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from verisimile.core import native
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.density.flows import compiled
from verisimile.density.flows.compiled import CompiledEpochs, CompiledFlow
from verisimile.density.flows.epochs import AdamState
from verisimile.density.flows.fast import FastFlow
from verisimile.density.flows.nflows import Architecture, _GuardedSpline, build, export
from verisimile.density.flows.packed import Floats, PackedLayout
from verisimile.density.input_map import InputMap
from verisimile.density.torch_scope import seed_scope
from verisimile.density.training import CoordinateSample, Student

pytestmark = pytest.mark.skipif(not native.available(), reason="no compiled library here")

SHAPES = [
    Architecture(d, layers, blocks, hidden, bins, 4.0, False, context)
    for d, context, layers, blocks, hidden, bins in [
        (1, 0, 2, 1, 16, 4),
        (1, 2, 3, 2, 20, 8),
        (2, 0, 3, 2, 16, 6),
        (3, 1, 2, 1, 33, 5),
        (4, 0, 4, 2, 64, 8),
        (7, 0, 3, 3, 40, 10),
        (20, 0, 2, 2, 64, 8),
    ]
]


def stack_of(shape: Architecture, *, noise: float = 0.1) -> torch.nn.Module:
    with seed_scope(Seeds(3)):
        stack = build(shape)
        generator = torch.Generator().manual_seed(1)
        for parameter in stack.parameters():
            parameter.data += noise * torch.randn(parameter.shape, generator=generator)
    return stack


def rows_of(shape: Architecture, n: int = 333) -> Array:
    return np.random.default_rng(5).normal(size=(n, shape.columns)) * 2.0


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_parameters_are_packed_and_unpacked_without_loss(shape: Architecture) -> None:
    arrays, layout = export(stack_of(shape)), PackedLayout(shape)
    again = layout.unpack(layout.pack(arrays))
    assert arrays.keys() == again.keys()
    for name, values in arrays.items():
        np.testing.assert_array_equal(again[name], values)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 2e-5), ("float64", 1e-12)])
def test_density_and_inverse_are_those_of_torch(
    shape: Architecture, precision: str, tolerance: float
) -> None:
    arrays, z = export(stack_of(shape)), rows_of(shape)
    ours = CompiledFlow(shape, arrays, precision)
    exact = FastFlow(shape, arrays, torch.float64)
    given_z = z.astype(precision).astype(np.float64)
    expected = exact.log_base(given_z)
    assert np.abs(ours.log_base(z) - expected).max() < tolerance * (1 + np.abs(expected).max())
    expected = exact.from_base(given_z)
    assert np.abs(ours.from_base(z) - expected).max() < tolerance * (1 + np.abs(expected).max())


def automatic_gradient(
    stack: torch.nn.Module, layout: PackedLayout, z: Array, weights: Array
) -> tuple[float, Array]:
    """Return summed loss and the packed gradient of its mean, by torch in the stack's precision."""
    stack.zero_grad()
    dtype = next(stack.parameters()).dtype
    u, log_det = stack(torch.from_numpy(z).to(dtype))
    losses = 0.5 * (u * u).sum(dim=1) - log_det + 0.5 * u.shape[1] * math.log(2 * math.pi)
    losses = torch.from_numpy(weights).to(dtype) * losses
    losses.mean().backward()
    arrays: dict[str, npt.NDArray[np.float32]] = {}
    splines = [m for m in stack.modules() if isinstance(m, _GuardedSpline)]
    for number, spline in enumerate(splines):
        linears = [m for m in spline.autoregressive_net.modules() if hasattr(m, "mask")]
        for name, linear in enumerate(linears):
            by_weight = (linear.weight.grad * linear.mask).numpy()
            arrays[f"{number}.{name}.weight"] = by_weight.astype(np.float32)
            arrays[f"{number}.{name}.bias"] = linear.bias.grad.numpy().astype(np.float32)
    return float(losses.sum().detach()), layout.pack(arrays).astype(np.float64)


def compiled_gradient(
    layout: PackedLayout, parameters: Floats, z: Array, weights: Array
) -> tuple[float, Array]:
    function = compiled._function("gradient", ctypes.c_double)
    given_z, given_weights = z.astype(np.float32), weights.astype(np.float32)
    rows = np.arange(len(z), dtype=np.int64)
    gradient = np.empty(layout.size, dtype=np.float32)
    total = function(
        *compiled._shape(layout.shape),
        *(native.pointer(a) for a in (parameters, given_z, given_weights, rows)),
        ctypes.c_int64(len(z)),
        native.pointer(gradient),
    )
    return total, (gradient * layout.mask).astype(np.float64)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradient_is_that_of_automatic_differentiation(shape: Architecture) -> None:
    stack, layout = stack_of(shape), PackedLayout(shape)
    parameters = layout.pack(export(stack))
    z = rows_of(shape).astype(np.float32).astype(np.float64)
    weights = np.random.default_rng(6).integers(0, 3, len(z)).astype(float)
    total, gradient = compiled_gradient(layout, parameters, z, weights)
    expected, exact = automatic_gradient(stack.double(), layout, z, weights)
    _, rounded = automatic_gradient(stack.float(), layout, z, weights)
    assert total == pytest.approx(expected, rel=1e-6)
    # As near to the exact one as torch's own float32, up to a factor of four.
    limit = max(4 * np.linalg.norm(rounded - exact), 1e-6 * np.linalg.norm(exact))
    assert np.linalg.norm(gradient - exact) < limit


def student_of(shape: Architecture, n: int) -> Student:
    sample = CoordinateSample.of(rows_of(shape, n), np.zeros(n), None)
    return Student(sample, sample, Seeds(1))


def test_a_step_is_one_of_adam_on_a_clipped_gradient() -> None:
    shape = SHAPES[2]
    layout, student = PackedLayout(shape), student_of(shape, 128)
    state = AdamState.fresh(layout.pack(export(stack_of(shape)))[None].copy())
    clip = 0.3
    tensor = torch.from_numpy(state.parameters[0].copy()).requires_grad_()
    adam = torch.optim.Adam([tensor], lr=1.0)
    epochs = CompiledEpochs(layout, state, [student], [128], clip)
    for rate in (1e-2, 2e-3, 1e-3):
        _, gradient = compiled_gradient(
            layout,
            state.parameters[0],
            student.training.z.double().numpy(),
            np.ones(128),
        )
        tensor.grad = torch.from_numpy(gradient.astype(np.float32))
        norm = torch.nn.utils.clip_grad_norm_([tensor], clip)
        assert norm > clip
        adam.param_groups[0]["lr"] = rate
        adam.step()
        epochs.epoch([0], [np.arange(128)], [np.array([rate])])
        np.testing.assert_allclose(
            state.parameters[0], tensor.detach().numpy(), rtol=1e-5, atol=1e-6 * rate
        )
    assert state.taken.tolist() == [3]


def test_every_level_of_instructions_gives_the_same_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    level = int(native._open("plain").vs_processor_level())  # type: ignore[union-attr]
    least = {"plain": 0, "x86-64-v3": 3, "x86-64-v4": 4}
    libraries = [found for s, v in least.items() if level >= v and (found := native._open(s))]
    shape = SHAPES[4]
    arrays, z = export(stack_of(shape)), rows_of(shape)
    values = []
    for library in libraries:
        monkeypatch.setattr(compiled, "library", lambda library=library: library)
        flow = CompiledFlow(shape, arrays, "float64")
        values.append((flow.log_base(z), flow.from_base(z)))
    assert values
    for log_base, inverse in values[1:]:
        np.testing.assert_allclose(log_base, values[0][0], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(inverse, values[0][1], rtol=1e-11, atol=1e-11)


def test_without_the_library_torch_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiled.compiles(SHAPES[0])
    monkeypatch.setenv("VERISIMILE_NATIVE", "0")
    assert not compiled.compiles(SHAPES[0])


SCALES = st.sampled_from([0.0, 1e-3, 1.0, 30.0, 300.0])


@settings(max_examples=60, deadline=None)
@given(scale=SCALES, spread=st.sampled_from([0.0, 1.0, 4.0, 1e3, 1e6]), seed=st.integers(0, 99))
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_extreme_inputs_and_parameters_give_finite_monotone_invertible_maps(
    precision: str, scale: float, spread: float, seed: int
) -> None:
    # Equal parameters (0), bins of minimal width (300): whatever training may come to.
    shape = Architecture(1, layers=2, blocks=1, hidden=8, bins=8, tail_bound=5.0, residual=False)
    layout = PackedLayout(shape)
    rng = np.random.default_rng(seed)
    vector = (rng.normal(size=layout.size) * scale * layout.mask).astype(np.float32)
    flow = CompiledFlow(shape, layout.unpack(vector), precision)
    z = np.sort(rng.normal(size=200)) * spread
    log_base = flow.log_base(z[:, None])
    assert np.isfinite(log_base).all()
    x = flow.from_base(z[:, None])[:, 0]
    assert np.isfinite(x).all()
    # A flow's inverse of ordered numbers is ordered: up to the rounding of flat pieces.
    rounding = 1e-5 if precision == "float32" else 1e-12
    assert np.diff(x).min() >= -rounding * (1 + np.abs(x).max())
    if scale <= 1.0:
        # The error of x, as steep as the flow is there: two layers, slopes up to 1e3 each.
        u, log_slope = base_of(flow, x)
        error = rounding * (1 + np.abs(z) + np.exp(log_slope) * (1 + np.abs(x)))
        assert (np.abs(u - z) <= 3 * error).all()


def base_of(flow: CompiledFlow, x: Array) -> tuple[Array, Array]:
    """Return base variables and log-slopes by torch's stack, in the flow's own precision."""
    parameters = PackedLayout(flow.shape).unpack(flow.parameters.astype(np.float32))
    fast = FastFlow(flow.shape, parameters, getattr(torch, flow.dtype.name))
    u, log_slope = fast.forward(torch.from_numpy(x[None].astype(flow.dtype)))
    return u.double().numpy()[0], log_slope.numpy()


@pytest.mark.parametrize("n", [0, 1, 7, 1000])
def test_input_maps_are_those_of_torch(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    x = np.column_stack([rng.gamma(2.0, 1.0, 5000), rng.standard_t(3, 5000)])
    x[:100, 0] = 1.0
    input_map = InputMap.fit(Events(x), 32)
    rows = np.concatenate([x, x * 1e6])[:n]
    z, log_jacobian = input_map.forward(rows)
    back = input_map.inverse(z)
    monkeypatch.setenv("VERISIMILE_NATIVE", "0")
    expected, log_expected = input_map.forward(rows)
    np.testing.assert_allclose(z, expected, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(log_jacobian, log_expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(back, input_map.inverse(z), rtol=1e-11, atol=1e-11)
