"""The continuous flow: its solver against a closed form, its batched training against a loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from trained_generators import plane_events, trained
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, NumericsError
from verisimile.core.random import Seeds
from verisimile.density.mapped import MappedDensity
from verisimile.density.paths.flow_matching import (
    ContinuousFlowCore,
    FlowMatchingTrainer,
    StraightPath,
    squash,
)
from verisimile.density.paths.training import NetworkShape, initial, numbers


class Stretch(ContinuousFlowCore):
    """The field v = a z, which carries N(0, 1) to N(0, e^a)."""

    rate = 0.7

    def _velocity(self, z: torch.Tensor, t: float) -> torch.Tensor:  # noqa: ARG002
        return self.rate * z  # at any time


def random_core(tolerance: float) -> ContinuousFlowCore:
    shape = NetworkShape(2, 2, 16, 16, 4, 4.0)
    parameters = numbers(initial(shape, Seeds(1).torch()), 0)
    parameters["last.weight"] *= 5  # fresh networks are too tame to need many steps
    return ContinuousFlowCore(shape, parameters, tolerance)


def core_of(model: object) -> ContinuousFlowCore:
    assert isinstance(model, MappedDensity)
    assert isinstance(model.core, ContinuousFlowCore)
    return model.core


def test_linear_field_gives_the_gaussian(rng: np.random.Generator) -> None:
    core = Stretch(NetworkShape(3, 1, 1, 1, 1, 1.0), {}, 1e-10)
    z = rng.normal(size=(50, 3))
    exact = stats.norm(scale=math.exp(0.7)).logpdf(z).sum(axis=1)
    np.testing.assert_allclose(core.log_prob(z), exact, atol=1e-8)
    draws = core.sample(20000, rng)
    assert stats.kstest(draws[:, 1] / math.exp(0.7), "norm").pvalue > 1e-6


def test_density_agrees_with_a_library_solver(rng: np.random.Generator) -> None:
    core = random_core(1e-8)
    start = rng.normal(size=2)

    def rate(t: float, state: Array) -> Array:
        v, trace = core._rate(torch.from_numpy(state[None, :2].copy()), t)
        return np.append(v.numpy()[0], trace.numpy())

    path = integrate.solve_ivp(rate, (1.0, 0.0), np.append(start, 0.0), rtol=1e-10, atol=1e-10)
    end = path.y[:, -1]
    exact = stats.norm.logpdf(end[:2]).sum() + end[2]
    assert core.log_prob(start[None])[0] == pytest.approx(exact, abs=1e-6)


def test_divergence_is_the_trace_of_the_jacobian(rng: np.random.Generator) -> None:
    core = random_core(1e-3)
    z = torch.from_numpy(rng.normal(size=(1, 2)))
    _, trace = core._rate(z, 0.3)
    jacobian = torch.func.jacrev(lambda y: core._velocity(y[None], 0.3)[0])(z[0])
    assert float(trace) == pytest.approx(float(torch.trace(jacobian)), rel=1e-12)


def test_tolerance_controls_the_error_whatever_the_companions(rng: np.random.Generator) -> None:
    z = rng.normal(size=(100, 2))
    exact = random_core(1e-10).log_prob(z)
    for tolerance in (1e-2, 1e-4, 1e-6):
        assert np.abs(random_core(tolerance).log_prob(z) - exact).max() < 100 * tolerance
    alone = np.concatenate([random_core(1e-6).log_prob(row[None]) for row in z[:10]])
    np.testing.assert_allclose(alone, exact[:10], atol=1e-4)


def test_a_tolerance_out_of_reach_is_an_error(rng: np.random.Generator) -> None:
    class Wall(ContinuousFlowCore):
        """A velocity that is not a number in half of the way."""

        def _velocity(self, z: torch.Tensor, t: float) -> torch.Tensor:
            return z * (math.nan if t < 0.5 else 1.0)

    with pytest.raises(NumericsError, match="larger tolerance"):
        Wall(NetworkShape(1, 1, 1, 1, 1, 1.0), {}, 1e-8).log_prob(rng.normal(size=(3, 1)))


def test_path_goes_from_noise_to_events() -> None:
    z, noise = torch.tensor([[2.0]]), torch.tensor([[-1.0]])
    for u, place in ((0.0, -1.0), (0.5, 0.5), (1.0, 2.0)):
        x, t, velocity = StraightPath().point(z, noise, torch.tensor([u]))
        assert float(x) == pytest.approx(float(squash(torch.tensor(place))))
        assert float(t) == u
        assert float(velocity) == 3.0


def test_batched_members_equal_single_ones() -> None:
    trainer = FlowMatchingTrainer(depth=1, width=8, inner=8, epochs=4, batch=64, patience=2)
    members = []
    for number in range(3):
        training, validation = plane_events(400).split((0.7, 0.3), Seeds(number))
        members.append((training, validation, Seeds(10 + number)))
    together = trainer.fit_many(members)
    x = members[0][0].x[:20]
    for fitted, member in zip(together, members, strict=True):
        alone = trainer.fit(*member)
        np.testing.assert_allclose(alone.validation_curve, fitted.validation_curve, atol=1e-5)
        np.testing.assert_allclose(alone.model.log_prob(x), fitted.model.log_prob(x), atol=1e-3)
    # Members differ: the agreement above is not that of three copies.
    first, second = (core_of(f.model).parameters["last.weight"] for f in together[:2])
    assert np.abs(first - second).max() > 0.01


def test_samples_of_different_sizes_are_refused() -> None:
    training, validation = plane_events(400).split((0.7, 0.3), Seeds(1))
    other = (validation, training, Seeds(2))
    with pytest.raises(InputError, match="samples of one size"):
        FlowMatchingTrainer().fit_many([(training, validation, Seeds(1)), other])


def test_rough_setting_is_refused() -> None:
    with pytest.raises(InputError, match="tolerance"):
        FlowMatchingTrainer(tolerance=0.0)


def test_curves_name_their_loss() -> None:
    assert trained("flow matching", 2).meta["loss"] == "flow matching"
