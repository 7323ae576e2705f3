"""The diffusion sampler: schedule, an analytic denoiser, lost rows, batched training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from statistical import FIVE_SIGMA
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.data.truths import RingOfEight
from verisimile.density.mapped import MappedSampler
from verisimile.density.paths.diffusion import CosineNoise, DiffusionCore, DiffusionTrainer
from verisimile.density.paths.training import NetworkShape, initial, numbers
from verisimile.density.protocol import DensityEstimator, Fitted, Sampler, SamplerTrainer
from verisimile.density.registry import pack, unpack_any
from verisimile.density.torch_scope import Placement

SMALL = DiffusionTrainer(depth=1, width=32, inner=32, epochs=100, batch=50, steps=50)


class GaussianDenoiser(DiffusionCore):
    """Knows the noise exactly for events from N(0, s²): E[ε | x_t]."""

    s = 0.5

    def _predicted(self, x: Array, step: int) -> Array:
        signal = self.noise.signal[step]
        return np.asarray(np.sqrt(1 - signal) * x / (signal * self.s**2 + 1 - signal))


def ring_events(n: int = 1500) -> Events:
    return Events(RingOfEight().sample(n, np.random.default_rng(1)))


@pytest.fixture(scope="module")
def fitted() -> Fitted[Sampler]:
    training, validation = ring_events().split((0.7, 0.3), Seeds(1))
    return SMALL.fit(training, validation, Seeds(2))


def core_of(fitted: Fitted[Sampler]) -> DiffusionCore:
    assert isinstance(fitted.model, MappedSampler)
    assert isinstance(fitted.model.core, DiffusionCore)
    return fitted.model.core


def test_cosine_schedule() -> None:
    noise = CosineNoise(100)
    assert len(noise.beta) == 100
    assert noise.beta.max() == 0.999
    # Half of the cosine's way: alpha-bar(1/2) = cos²(π/4 · (1/2 + s)/((1 + s)/2)) / cos²(…0…).
    level = np.cos((0.5 + 0.008) / 1.008 * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    assert noise.signal[49] == pytest.approx(level, rel=1e-12)


def test_published_network_has_the_published_size() -> None:
    for depth in (1, 2, 4, 8):
        sizes = DiffusionTrainer(depth=depth).shape(2).linears().values()
        assert sum((i + 1) * o for i, o in sizes) == 946 + 70272 * depth


def test_exact_denoiser_draws_its_gaussian(rng: np.random.Generator) -> None:
    core = GaussianDenoiser(NetworkShape(1, 1, 1, 1, 1, 1.0), {}, 1000)
    x = core.sample(4000, rng)[:, 0]
    # A finite T leaves a bias of the variance, 1 % at T = 1000.
    assert x.std() == pytest.approx(0.5, rel=5 / np.sqrt(2 * 4000) + 0.01)
    assert stats.kstest(x / x.std(), "norm").pvalue > FIVE_SIGMA


def test_learns_the_ring(fitted: Fitted[Sampler], rng: np.random.Generator) -> None:
    assert isinstance(SMALL, SamplerTrainer)
    assert isinstance(fitted.model, Sampler)
    assert not isinstance(fitted.model, DensityEstimator)
    x = fitted.model.sample(2000, rng)
    assert x.shape == (2000, 2)
    assert x.dtype == np.float64
    distance = np.linalg.norm(x[:, None] - RingOfEight().centres, axis=2)
    assert (np.bincount(distance.argmin(axis=1), minlength=8) > 100).all()
    gauss = rng.normal(size=x.shape) * x.std(axis=0)
    blind = np.linalg.norm(gauss[:, None] - RingOfEight().centres, axis=2).min(axis=1)
    assert np.median(distance.min(axis=1)) < 0.7 * np.median(blind)


def test_draws_depend_on_the_generator_alone(fitted: Fitted[Sampler]) -> None:
    first, again, other = (fitted.model.sample(20, np.random.default_rng(k)) for k in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
    assert fitted.model.sample(0, np.random.default_rng(1)).shape == (0, 2)


def test_stored_sampler_is_rebuilt_bit_by_bit(fitted: Fitted[Sampler]) -> None:
    payload = pack(fitted.model)
    again = unpack_any(payload.meta, payload.arrays)
    assert isinstance(again, Sampler)
    first = fitted.model.sample(50, np.random.default_rng(1))
    np.testing.assert_array_equal(again.sample(50, np.random.default_rng(1)), first)


def test_diverged_rows_are_returned_as_nan(fitted: Fitted[Sampler]) -> None:
    model = fitted.model
    assert isinstance(model, MappedSampler)
    core = core_of(fitted)
    wild = {name: values.copy() for name, values in core.parameters.items()}
    wild["last.bias"][..., 0] = np.inf
    broken = MappedSampler(DiffusionCore(core.shape, wild, 50), model.input_map)
    x = broken.sample(30, np.random.default_rng(1))
    assert x.shape == (30, 2)
    assert np.isnan(x).all()


def test_batched_members_equal_single_ones() -> None:
    trainer = DiffusionTrainer(depth=2, width=8, inner=16, epochs=3, batch=50)
    members = []
    for number in range(3):
        training, validation = ring_events(300).split((0.7, 0.3), Seeds(number))
        members.append((training, validation, Seeds(10 + number)))
    together = trainer.fit_many(members)
    for fit, member in zip(together, members, strict=True):
        alone = trainer.fit(*member)
        np.testing.assert_allclose(alone.training_curve, fit.training_curve, rtol=1e-4)
        for name, values in core_of(alone).parameters.items():
            np.testing.assert_allclose(core_of(fit).parameters[name], values, atol=1e-4)
    curves = [fit.training_curve for fit in together]
    assert abs(curves[0] - curves[1]).max() > 1e-3


def small_members() -> tuple[DiffusionTrainer, list[tuple[Events, Events, Seeds]]]:
    trainer = DiffusionTrainer(depth=2, width=8, inner=16, epochs=3, batch=50, decay=True)
    training, validation = ring_events(300).split((0.7, 0.3), Seeds(1))
    return trainer, [(training, validation, Seeds(10 + number)) for number in range(2)]


def assert_same_members(
    first: Sequence[Fitted[Sampler]], second: Sequence[Fitted[Sampler]]
) -> None:
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one.training_curve, other.training_curve, rtol=1e-4)
        for name, values in core_of(one).parameters.items():
            np.testing.assert_allclose(core_of(other).parameters[name], values, atol=1e-4)


def test_threads_change_rounding_alone_and_are_put_back() -> None:
    trainer, members = small_members()
    before = torch.get_num_threads()
    both = trainer.fit_many(members, Placement(threads=2))
    assert torch.get_num_threads() == before
    assert_same_members(trainer.fit_many(members), both)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_trains_the_same_members() -> None:
    trainer, members = small_members()
    assert_same_members(trainer.fit_many(members), trainer.fit_many(members, Placement("cuda")))


def test_step_size_falls_along_half_a_cosine() -> None:
    # Two steps of all events: the second has half the step size, in the same direction.
    trainer, members = small_members()
    first, constant, falling = (
        core_of(
            replace(trainer, batch=len(members[0][0].x), epochs=epochs, decay=decay).fit_many(
                members[:1]
            )[0]
        ).parameters
        for epochs, decay in ((1, True), (2, False), (2, True))
    )
    for name, values in first.items():
        whole, half = constant[name] - values, falling[name] - values
        np.testing.assert_allclose(half, 0.5 * whole, atol=1e-6)
        assert np.abs(whole).max() > 1e-4


@pytest.mark.parametrize(
    ("device", "threads", "message"),
    [("cuda:97", 1, "torch device of this machine"), ("cpu", 0, "1 or more")],
)
def test_a_placement_that_is_not_there_is_named(device: str, threads: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Placement(device, threads)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="positive sizes"):
        DiffusionTrainer(depth=0)
    with pytest.raises(InputError, match="2 or more"):
        DiffusionTrainer(steps=1)


def test_initial_weights_are_those_of_a_linear_layer() -> None:
    shape = NetworkShape(2, 1, 64, 64, 8, 1.0)
    weights = numbers(initial(shape, Seeds(1).torch()), 0)["in0.weight"]
    assert weights.shape == (1, 64, 64)
    assert np.abs(weights).max() <= 1 / 8
    assert weights.std() == pytest.approx(1 / 8 / np.sqrt(3), rel=0.05)
