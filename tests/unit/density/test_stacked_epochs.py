"""Stacked training against autograd, against itself with other neighbours, and compiled."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from verisimile.core import native
from verisimile.core.arrays import Array, IntArray
from verisimile.core.random import Seeds
from verisimile.density.flows.epochs import AdamState
from verisimile.density.flows.nflows import Architecture, build, export
from verisimile.density.flows.packed import Floats, PackedLayout
from verisimile.density.flows.stacked import StackedEpochs
from verisimile.density.torch_scope import CPU, Placement, seed_scope
from verisimile.density.training import CoordinateSample, Student

BASE = Architecture(4, layers=3, blocks=2, hidden=24, bins=6, tail_bound=3.0, residual=False)
SHAPES = [
    BASE,
    replace(BASE, features=1, blocks=1),
    replace(BASE, features=1, context=2, blocks=3, layers=2),
    replace(BASE, features=3, context=1, blocks=1, bins=2),
    replace(BASE, features=2, blocks=1, hidden=5, layers=1),
    # Three blocks of hidden units, so that products leave out what is masked.
    replace(BASE, features=4, hidden=200, layers=2),
    replace(BASE, features=3, context=3, hidden=400, layers=2, blocks=1),
    replace(BASE, features=20, hidden=40, layers=2),
]
CLIP = 0.5
RATE = 1e-2


def stack_of(shape: Architecture, number: int) -> torch.nn.Module:
    """Return nflows' module away from its almost linear start, its parameters in float32."""
    with seed_scope(Seeds(number)):
        stack = build(shape)
        generator = torch.Generator().manual_seed(number)
        for parameter in stack.parameters():
            scale = 0.1 if parameter.ndim > 1 else 0.4
            parameter.data += scale * torch.randn(parameter.shape, generator=generator)
    return stack


def student(shape: Architecture, n: int, number: int) -> Student:
    rng = np.random.default_rng(number)
    # A tenth of the events lies outside of the box, and a few far away; contexts do not, whose
    # gradients would be so large that what is left of the small ones is rounding.
    z = 1.7 * rng.normal(size=(n + 30, shape.columns))
    z[:2, : shape.features] *= 100.0
    training, validation = (
        CoordinateSample.of(part, np.zeros(len(part)), rng.uniform(0.2, 2.0, len(part)))
        for part in (z[:n], z[n:])
    )
    return Student(training, validation, Seeds(number))


def packed(layout: PackedLayout, stacks: Sequence[torch.nn.Module]) -> Floats:
    return np.stack([layout.pack(export(stack)) for stack in stacks])


class ByHand:
    """One member trained by autograd in float64: the loop that stacked training replaces."""

    def __init__(self, stack: torch.nn.Module, pupil: Student) -> None:
        self.stack = stack.double()
        self.z, self.weights = (each.double() for each in pupil.training[:2])
        self.adam = torch.optim.Adam(stack.parameters(), lr=RATE)

    def losses(self, z: Tensor) -> Tensor:
        u, log_det = self.stack(z)
        base = 0.5 * (u.square() + np.log(2 * np.pi)).sum(dim=1)
        negative: Tensor = base - log_det
        return negative

    def epoch(self, order: IntArray, rates: Array, batch: int) -> float:
        total = 0.0
        for rows, rate in zip(torch.split(torch.from_numpy(order), batch), rates, strict=True):
            self.adam.zero_grad()
            loss = (self.weights[rows] * self.losses(self.z[rows])).mean()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.stack.parameters(), CLIP)
            self.adam.param_groups[0]["lr"] = float(rate)
            self.adam.step()
            total += float(loss.detach()) * len(rows)
        return total / len(order)


class Case:
    """Members of one architecture with samples and batches of different sizes."""

    def __init__(self, shape: Architecture, sizes: Sequence[tuple[int, int]]) -> None:
        self.layout = PackedLayout(shape)
        self.stacks = [stack_of(shape, number) for number in range(len(sizes))]
        self.students = [student(shape, n, number) for number, (n, _) in enumerate(sizes)]
        self.batches = [batch for _, batch in sizes]
        self.start = packed(self.layout, self.stacks)
        rng = np.random.default_rng(5)
        self.orders = [rng.permutation(n) for n, _ in sizes]
        self.rates = [RATE * rng.uniform(0.5, 1.0, -(-n // batch)) for n, batch in sizes]

    def stacked(
        self,
        dtype: type = np.float32,
        placement: Placement = CPU,
        abreast: int | None = 2,
        members: Sequence[int] | None = None,
    ) -> StackedEpochs:
        """Return the training of all members, or of some of them alone."""
        own = range(len(self.students)) if members is None else members
        return StackedEpochs(
            self.layout,
            AdamState.fresh(self.start[list(own)].astype(dtype)),
            [self.students[number] for number in own],
            [self.batches[number] for number in own],
            CLIP,
            placement,
            abreast,
        )

    def train(self, epochs: StackedEpochs, members: Sequence[int]) -> Array:
        return epochs.epoch(
            members, [self.orders[k] for k in members], [self.rates[k] for k in members]
        )


# The middle member has a partial last batch, the last one more steps than the others.
SIZES = [(96, 32), (70, 32), (140, 28)]


@pytest.mark.parametrize("abreast", [1, 3])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_autograd_in_float64(shape: Architecture, abreast: int) -> None:
    case = Case(shape, SIZES)
    epochs, mask = case.stacked(np.float64, abreast=abreast), case.layout.mask
    losses = case.train(epochs, range(3))
    for number, (stack, order, rates, batch) in enumerate(
        zip(case.stacks, case.orders, case.rates, case.batches, strict=True)
    ):
        loop = ByHand(stack, case.students[number])
        assert losses[number] == pytest.approx(loop.epoch(order, rates, batch), rel=1e-9)
        validation = case.students[number].validation
        with torch.no_grad():
            each = loop.losses(validation.z.double()) * validation.weights.double()
        assert epochs.losses([number])[0] == pytest.approx(float(each.mean()), rel=1e-6)
        expected = case.layout.pack(export(stack))
        found = epochs.state.parameters[number]
        # Of steps of 1e-2: Adam magnifies the rounding of gradients near its 1e-8.
        np.testing.assert_allclose(found[mask], expected[mask], rtol=0, atol=1e-6)
        assert np.abs(found - case.start[number]).max() > 0.5 * RATE
    np.testing.assert_array_equal(epochs.state.taken, [3, 3, 5])
    np.testing.assert_array_equal(epochs.state.parameters[:, ~mask], case.start[:, ~mask])


def gradients(case: Case, dtype: type) -> Array:
    """Return the gradients of the first batches, from Adam's memory of them."""
    free = StackedEpochs(
        case.layout,
        AdamState.fresh(case.start.astype(dtype)),
        case.students,
        case.batches,
        clip=1e9,
    )
    members = range(len(case.students))
    first = [order[:batch] for order, batch in zip(case.orders, case.batches, strict=True)]
    free.epoch(members, first, [np.full(1, RATE) for _ in members])
    return free.state.first_moment.astype(np.float64) / (1.0 - 0.9)


def by_autograd(case: Case, number: int) -> Array:
    loop = ByHand(case.stacks[number], case.students[number])
    rows = torch.from_numpy(case.orders[number][: case.batches[number]])
    loss = (loop.weights[rows] * loop.losses(loop.z[rows])).mean()
    loss.backward()  # type: ignore[no-untyped-call]
    for parameter in loop.stack.parameters():
        assert parameter.grad is not None
        parameter.data = parameter.grad
    vector = case.layout.pack(export(loop.stack)).astype(np.float64)
    return vector * case.layout.mask


def compiled(case: Case, number: int) -> Array:
    library = native.library()
    assert library is not None
    shape, pupil = case.layout.shape, case.students[number]
    sizes = np.array(
        [shape.features, shape.context, shape.layers, shape.blocks, shape.hidden, shape.bins]
    )
    rows = case.orders[number][: case.batches[number]].copy()
    gradient = np.empty(case.layout.size, dtype=np.float32)
    arrays = [case.start[number], pupil.training.z.numpy(), pupil.training.weights.numpy(), rows]
    library.vs_spline_gradient(
        native.pointer(sizes),
        ctypes.c_double(shape.tail_bound),
        *map(native.pointer, arrays),
        ctypes.c_int64(len(rows)),
        native.pointer(gradient),
    )
    return gradient.astype(np.float64) * case.layout.mask


def gap(one: Array, other: Array) -> float:
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradients_are_those_of_autograd(shape: Architecture) -> None:
    case = Case(shape, SIZES)
    double, single = gradients(case, np.float64), gradients(case, np.float32)
    for number in range(3):
        exact = by_autograd(case, number)
        assert gap(double[number], exact) < 2e-7  # of float32, to which `exact` is rounded
        assert gap(single[number], exact) < 1e-4


@pytest.mark.skipif(not native.available(), reason="no compiled library")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradients_are_those_of_compiled_code(shape: Architecture) -> None:
    case = Case(shape, SIZES)
    single = gradients(case, np.float32)
    for number in range(3):
        assert gap(single[number], compiled(case, number)) < 1e-4


NEIGHBOURS = [(300, 50), (170, 50), (300, 60), (64, 16), (301, 50)]


@pytest.mark.parametrize("abreast", [None, 2, 5])
def test_a_member_does_not_depend_on_its_neighbours(abreast: int | None) -> None:
    case = Case(BASE, NEIGHBOURS)
    stack = case.stacked(np.float64, abreast=abreast)
    losses = case.train(stack, range(5))
    for number in range(5):
        alone = case.stacked(np.float64, abreast=None, members=[number])
        own = alone.epoch([0], [case.orders[number]], [case.rates[number]])
        found, expected = stack.state.parameters[number], alone.state.parameters[0]
        if abreast is None:  # one after the other on a CPU
            np.testing.assert_array_equal(found, expected)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)
        assert losses[number] == pytest.approx(own[0], rel=1e-12)
        assert stack.losses([number])[0] == pytest.approx(alone.losses([0])[0], rel=1e-9)


def test_finished_members_are_left_alone() -> None:
    case = Case(BASE, NEIGHBOURS)
    epochs, whole = case.stacked(np.float64), case.stacked(np.float64)
    for each in (epochs, whole):
        case.train(each, range(5))
    before = [values.copy() for values in (epochs.state.parameters, epochs.state.second_moment)]
    case.train(epochs, [4, 1])
    case.train(whole, range(5))
    for values, old in zip(
        (epochs.state.parameters, epochs.state.second_moment), before, strict=True
    ):
        np.testing.assert_array_equal(values[[0, 2, 3]], old[[0, 2, 3]])
    np.testing.assert_allclose(
        epochs.state.parameters[[1, 4]], whole.state.parameters[[1, 4]], rtol=0, atol=1e-8
    )
    steps = [len(rates) for rates in case.rates]
    np.testing.assert_array_equal(epochs.state.taken, np.multiply(steps, [1, 2, 1, 1, 2]))


@pytest.mark.parametrize("bias", [0.0, 60.0, -60.0, 1e4])
def test_extreme_events_and_parameters_stay_finite(bias: float) -> None:
    # All parameters equal; or one bin of each spline as wide as it can be, the others minimal.
    case = Case(replace(BASE, layers=2), [(200, 50), (120, 40)])
    case.start[:] = 0.0
    last = [block for block in case.layout.blocks if block.last]
    for block in last:
        case.layout.views(case.start, block)[1][:, ::5] = bias
    for number, pupil in enumerate(case.students):
        scale = torch.logspace(-30, 6, len(pupil.training.z))[:, None]
        pupil.training.z.copy_(torch.sign(pupil.training.z) * scale * (1.0 + 0.1 * number))
    epochs = case.stacked()
    losses = case.train(epochs, range(2))
    assert np.isfinite(losses).all()
    assert np.isfinite(epochs.losses(range(2))).all()
    for values in (epochs.state.parameters, epochs.state.first_moment, epochs.state.second_moment):
        assert np.isfinite(values).all()
    assert np.abs(epochs.state.first_moment).max() > 0


def test_threads_change_rounding_alone_and_are_put_back() -> None:
    case = Case(BASE, SIZES)
    before = torch.get_num_threads()
    one, two = case.stacked(), case.stacked(placement=Placement(threads=2))
    np.testing.assert_allclose(case.train(one, range(3)), case.train(two, range(3)), rtol=1e-5)
    assert torch.get_num_threads() == before


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_gpu_trains_the_same_members(shape: Architecture) -> None:
    case = Case(shape, SIZES)
    here, there = (
        case.stacked(np.float64),
        case.stacked(np.float64, Placement("cuda"), abreast=None),
    )
    for _ in range(2):
        np.testing.assert_allclose(
            case.train(there, range(3)), case.train(here, range(3)), rtol=1e-9
        )
    np.testing.assert_allclose(here.state.parameters, there.state.parameters, rtol=0, atol=1e-6)
    np.testing.assert_allclose(here.losses(range(3)), there.losses(range(3)), rtol=1e-6)
