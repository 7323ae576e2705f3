"""What every generator promises besides its law: numbers, random streams, storage, weights.

Densities and samplers without one, each from a small training; that no test and no training
changes a global stream, a default dtype or a thread count is required of all tests.
"""

from __future__ import annotations

import importlib
import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from statistical import assert_within
from trained_generators import (
    MODELS,
    SAMPLERS,
    TRAINERS,
    conditional,
    generator,
    model_of,
    named,
    sampler_of,
)
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.store import DirectoryStore
from verisimile.data.events import Events
from verisimile.density.adapters import CallableDensity, adapt
from verisimile.density.flows.trainer import SplineFlowTrainer
from verisimile.density.protocol import ConditionalDensity, DensityEstimator, Sampler
from verisimile.density.registry import Model, pack, unpack_any

DRAWERS = pytest.mark.parametrize("name", named(*MODELS, *SAMPLERS))
DENSE = pytest.mark.parametrize("name", named(*MODELS))
GIVEN = "conditional flow, one context"  # stored is the flow, for all contexts
UNWEIGHTED = ("Gaussian mixture",)
# From one initialisation to the next, the small trainings of these scatter by more than the
# statistical error of the hills' sizes.
ROUGH = ("zuko spline flow", *SAMPLERS)
FREE = 4000


def draw(name: str, n: int, seed: int = 7) -> Array:
    return sampler_of(name, 3).sample(n, np.random.default_rng(seed))


@DRAWERS
@pytest.mark.parametrize("n", [0, 1, 17])
def test_draws_are_finite_rows_of_doubles(name: str, n: int) -> None:
    x = draw(name, n)
    assert x.shape == (n, 3)
    assert x.dtype == np.float64
    assert np.isfinite(x).all()


@DENSE
def test_densities_are_doubles_whatever_is_given(name: str) -> None:
    model, x = model_of(name, 3), draw(name, 30).astype(np.float32)
    log_p = model.log_prob(x.astype(np.float64))
    assert log_p.shape == (30,)
    assert log_p.dtype == np.float64
    single = model.log_prob(x)  # type: ignore[arg-type]  # as users do
    assert single.dtype == np.float64
    np.testing.assert_array_equal(single, log_p)
    assert model.log_prob(np.zeros((0, 3))).shape == (0,)


@DRAWERS
def test_equal_streams_equal_draws_and_no_others(name: str) -> None:
    first = draw(name, 40)
    draw(name, 3, seed=9)
    np.testing.assert_array_equal(draw(name, 40), first)
    assert not np.isin(draw(name, 40, seed=8), first).any()
    stream = np.random.default_rng(7)
    np.testing.assert_array_equal(sampler_of(name, 3).sample(40, stream), first)
    assert not np.isin(sampler_of(name, 3).sample(40, stream), first).any()


@DRAWERS
def test_global_streams_do_not_matter(name: str) -> None:
    first, kept = draw(name, 40), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(123)
            np.random.seed(123)  # noqa: NPY002
            again = draw(name, 40)
    finally:
        np.random.set_state(kept)  # noqa: NPY002
    np.testing.assert_array_equal(again, first)


@pytest.fixture
def no_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a model was pickled")

    # Torch imports it at its first optimiser, and derives a class from what is replaced here.
    importlib.import_module("torch._dynamo")
    for name in ("dump", "dumps", "load", "loads", "Pickler", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)


@pytest.mark.usefixtures("no_pickle")
def test_a_pickle_would_be_noticed() -> None:
    with pytest.raises(AssertionError, match="pickled"):
        np.save(io.BytesIO(), np.array([{}]), allow_pickle=True)


def stored(model: Model, folder: Path) -> Model:
    """Write a model as an ensemble does, read it back, and look at what was written."""
    DirectoryStore(folder).save("members/0000", "f" * 64, "test", pack(model))
    record = DirectoryStore(folder).load("members/0000", "f" * 64)
    assert record is not None
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sorted(path.suffix for path in files) == [".json", ".safetensors"]
    return unpack_any(record.meta, record.arrays)


@pytest.mark.usefixtures("no_pickle")
@pytest.mark.parametrize("d", [1, 3])  # three: with bounds
@pytest.mark.parametrize("name", named(*(n for n in (*MODELS, *SAMPLERS) if n != GIVEN)))
def test_the_store_gives_the_model_back_to_the_bit(name: str, d: int, tmp_path: Path) -> None:
    model = sampler_of(name, d)
    again = stored(model, tmp_path)
    assert isinstance(again, Sampler)
    x = model.sample(40, np.random.default_rng(7))
    np.testing.assert_array_equal(again.sample(40, np.random.default_rng(7)), x)
    assert isinstance(again, DensityEstimator) == (name not in SAMPLERS)
    if isinstance(again, DensityEstimator):
        np.testing.assert_array_equal(again.log_prob(x), model_of(name, d).log_prob(x))


@pytest.mark.usefixtures("no_pickle")
@pytest.mark.parametrize("d", [1, 3])
def test_the_store_gives_a_conditional_flow_back_to_the_bit(d: int, tmp_path: Path) -> None:
    model = conditional(d)
    again = stored(model, tmp_path)
    assert isinstance(again, ConditionalDensity)
    context = np.random.default_rng(7).normal(size=(40, 1))
    x = model.sample(context, np.random.default_rng(8))
    np.testing.assert_array_equal(again.sample(context, np.random.default_rng(8)), x)
    np.testing.assert_array_equal(again.log_prob(x, context), model.log_prob(x, context))


def test_what_cannot_be_rebuilt_is_not_stored() -> None:
    stranger = CallableDensity(1, lambda x: -x[:, 0], lambda n, rng: rng.random((n, 1)))
    with pytest.raises(InputError, match="register_family"):
        pack(adapt(stranger))


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_respect_bounds(name: str) -> None:
    x = generator(name, 3).model.sample(2000, np.random.default_rng(1))
    assert np.isfinite(x).all()
    assert (x[:, 1:] >= 0).all()
    assert (x[:, 2] <= 1).all()


def hills(weight: float) -> Events:
    """Return two hills of 200 events each, those of the right one `weight` times as heavy."""
    rng = np.random.default_rng(5)
    x = np.repeat([-2.0, 2.0], 200) + 0.7 * rng.normal(size=400)
    return Events(x[:, None], np.repeat([1.0, weight], 200))


def right_share(name: str, weight: float) -> float:
    training, validation = hills(weight).split((0.7, 0.3), Seeds(1))
    model = TRAINERS[name].fit(training, validation, Seeds(2)).model
    return float((model.sample(FREE, np.random.default_rng(3)) > 0).mean())


def expected_share() -> tuple[float, float]:
    """Return the right hill's share of the weights, and the error of the share of a fit's draws."""
    training, _ = hills(3.0).split((0.7, 0.3), Seeds(1))
    weights = training.weights
    assert weights is not None
    share = float(weights[training.x[:, 0] > 0].sum() / weights.sum())
    effective = weights.sum() ** 2 / (weights**2).sum()
    return share, float(np.sqrt(share * (1 - share) * (1 / effective + 1 / FREE)))


@pytest.mark.parametrize("name", [n for n in TRAINERS if n not in (*UNWEIGHTED, *ROUGH)])
def test_training_follows_the_weights(name: str) -> None:
    assert_within(right_share(name, 3.0), *expected_share())


def test_training_without_the_weights_is_found() -> None:
    with pytest.raises(AssertionError, match="sigma"):
        assert_within(right_share("spline flow", 1.0), *expected_share())


def test_conditional_training_follows_the_weights() -> None:
    def share(weight: float) -> float:
        events = hills(weight)
        noise = np.random.default_rng(6).normal(size=(events.n, 1))  # tells nothing
        given = Events(np.hstack([events.x, noise]), events.weights, names=("x", "c"))
        training, validation = given.split((0.7, 0.3), Seeds(1))
        trainer = SplineFlowTrainer(layers=2, hidden=16, epochs=12).given("c")
        model = trainer.fit(training, validation, Seeds(2)).model
        draws = model.sample(noise.repeat(10, axis=0), np.random.default_rng(3))
        return float((draws > 0).mean())

    assert_within(share(3.0), *expected_share())
    with pytest.raises(AssertionError, match="sigma"):
        assert_within(share(1.0), *expected_share())


@pytest.mark.calibration
@pytest.mark.parametrize("name", named(*ROUGH))
def test_weights_move_what_is_learnt_roughly(name: str) -> None:
    # Trained without regard to weights, the two would be the same model to the bit.
    moved = right_share(name, 3.0) - right_share(name, 1.0)
    assert moved > 0.5 * (expected_share()[0] - 0.5)
