"""The training loop: early stopping, weights, schedule, no trace in global state."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from verisimile.core.arrays import Array
from verisimile.core.errors import NumericsError
from verisimile.core.random import Seeds
from verisimile.density.flows.nflows import Architecture, build
from verisimile.density.torch_scope import one_thread, seed_scope
from verisimile.density.training import CoordinateSample, Schedule, Student, train

SHAPE = Architecture(2, layers=1, blocks=1, hidden=8, bins=4, tail_bound=4.0, residual=False)
SCHEDULE = Schedule(learning_rate=1e-2, batch=64, epochs=5, patience=5, clip=5.0)


def normal(n: int, seed: int) -> Array:
    return np.random.default_rng(seed).normal(size=(n, 2))


def sample(z: Array, weights: Array | None = None, offset: float = 0.0) -> CoordinateSample:
    return CoordinateSample.of(z, np.full(len(z), offset), weights)


def stack() -> torch.nn.Module:
    with seed_scope(Seeds(4)):
        return build(SHAPE)


class Constant(torch.nn.Module):
    """A flow whose one parameter is the log-determinant, so that losses are known."""

    def __init__(self, values: float = 0.0) -> None:
        super().__init__()
        self.level = torch.nn.Parameter(torch.tensor(values))

    def forward(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return z, self.level.expand(len(z))


class Overfitting(Constant):
    """A flow that is worse in validation by as much as it is better in training."""

    def forward(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        sign = 1.0 if self.training else -1.0
        return z, sign * self.level.expand(len(z))


def test_loss_of_the_identity_is_the_entropy_of_the_base() -> None:
    z = normal(400, 1)
    schedule = Schedule(1e-12, 64, 1, 1, 5.0)
    curves = train(Constant(), Student(sample(z), sample(z, offset=0.7), Seeds(1)), schedule)
    expected = 0.5 * (z**2).sum(axis=1).mean() + np.log(2 * np.pi)
    assert curves.training[0] == pytest.approx(expected, rel=1e-5)
    assert curves.validation[0] == pytest.approx(expected - 0.7, rel=1e-5)


def test_weights_equal_repeats_in_the_loss() -> None:
    z, counts = normal(300, 2), np.random.default_rng(3).integers(0, 3, 300)
    schedule = Schedule(1e-12, 64, 1, 1, 5.0)
    weighted = sample(z, counts.astype(float))
    repeated = sample(np.repeat(z, counts, axis=0))
    curves = train(stack(), Student(weighted, repeated, Seeds(1)), schedule)
    assert curves.training[0] == pytest.approx(curves.validation[0], rel=1e-5)


def test_best_epoch_is_put_back() -> None:
    # Validation gets worse as the level rises, so that epoch 0 stays the best.
    z, flow = normal(200, 5), Overfitting()
    curves = train(flow, Student(sample(z), sample(z), Seeds(1)), SCHEDULE)
    assert curves.best == 0
    assert (np.diff(curves.validation) > 0).all()
    assert len(curves.validation) == SCHEDULE.epochs
    # The level after one epoch of at most 13 steps of 1e-2, not after five.
    level = flow.level.item()
    assert 0 < level < 0.14
    expected = 0.5 * (z**2).sum(axis=1).mean() + np.log(2 * np.pi) + level
    assert curves.validation[0] == pytest.approx(expected, rel=1e-5)


def test_patience_ends_training() -> None:
    z = normal(200, 6)
    schedule = Schedule(1e-30, 64, 50, 3, 5.0)
    curves = train(Constant(), Student(sample(z), sample(z), Seeds(1)), schedule)
    assert len(curves.validation) == 4


def test_training_learns_a_shift() -> None:
    z = normal(2000, 7) * 0.5
    curves = train(stack(), Student(sample(z), sample(z[:500]), Seeds(1)), SCHEDULE)
    entropy = np.log(0.5 * np.sqrt(2 * np.pi * np.e)) * 2
    assert curves.training[-1] < curves.training[0]
    assert curves.validation[curves.best] == pytest.approx(entropy, abs=0.15)


def test_loss_that_is_not_finite_is_an_error() -> None:
    z = normal(100, 8)
    with pytest.raises(NumericsError, match="epoch 0"):
        train(Constant(float("nan")), Student(sample(z), sample(z), Seeds(1)), SCHEDULE)


def test_global_streams_threads_and_dtype_are_left_alone() -> None:
    threads, stream = torch.get_num_threads(), torch.get_rng_state()
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        z = normal(200, 9)
        train(stack(), Student(sample(z), sample(z), Seeds(1)), SCHEDULE)
        assert torch.get_default_dtype() is torch.float64
    finally:
        torch.set_default_dtype(dtype)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), stream)


def fail_on_one_thread() -> None:
    assert torch.get_num_threads() == 1
    raise KeyError


def test_scopes_restore_after_errors() -> None:
    before = torch.get_rng_state(), torch.get_num_threads()
    with pytest.raises(KeyError), seed_scope(Seeds(1)), one_thread():
        fail_on_one_thread()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]


def test_seeded_scope_is_a_function_of_the_seeds() -> None:
    draws = []
    for seeds in (Seeds(1), Seeds(1), Seeds(2)):
        with seed_scope(seeds):
            draws.append(torch.rand(3).tolist())
    assert draws[0] == draws[1] != draws[2]
