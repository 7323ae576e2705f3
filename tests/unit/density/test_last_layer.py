"""Members that share a trained flow but for its last layers."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import verisimile as vs
from trained_generators import camel_events, plane_events
from verisimile.core.errors import InputError
from verisimile.density.flows.compiled import compiles
from verisimile.density.flows.last_layer import LastLayerTrainer
from verisimile.density.flows.nflows import Parameters
from verisimile.density.flows.spline import SplineFlow
from verisimile.density.flows.trainer import SplineFlowTrainer
from verisimile.density.protocol import Fitted
from verisimile.ensemble.ensemble import Ensemble

FLOW = SplineFlowTrainer(layers=2, hidden=16, epochs=8, batch=64)
HEAD = f"{FLOW.blocks + 1}."  # the last map of a layer, behind the number of the layer


@functools.cache
def events(columns: int = 1) -> vs.Events:
    return camel_events(1000) if columns == 1 else plane_events(1000)


@functools.cache
def trunk(columns: int = 1) -> SplineFlow:
    return flow_of(events(columns), 2)


def flow_of(sample: vs.Events, seed: int) -> SplineFlow:
    training, validation = sample.split((0.8, 0.2), vs.Seeds(1))
    return FLOW.fit(training, validation, vs.Seeds(seed)).model


def members(count: int = 4, columns: int = 1, epochs: int = 5) -> Ensemble:
    trainer = LastLayerTrainer(trunk(columns), batch=64, epochs=epochs)
    return vs.fit_ensemble(vs.Run(vs.Seeds(3)), events(columns), vs.BootstrapPlan(count), trainer)


def parameters(model: object) -> Parameters:
    assert isinstance(model, SplineFlow)
    return model.parameters


def test_members_share_the_trunk_bit_for_bit_and_have_their_own_heads() -> None:
    shared = trunk(2).parameters
    heads = {name for name in shared if name.split(".", 1)[1].startswith(HEAD)}
    assert len(heads) == 2 * FLOW.layers
    first, second = (parameters(model) for model in members(2, columns=2).members)
    for name, values in shared.items():
        if name in heads:
            assert np.abs(first[name] - second[name]).max() > 1e-3
            assert np.abs(first[name] - values).max() > 1e-3
        else:
            np.testing.assert_array_equal(first[name], values)
            np.testing.assert_array_equal(second[name], values)


def test_a_member_is_the_same_in_a_larger_ensemble_and_normalised() -> None:
    grid = np.linspace(-30.0, 30.0, 40_001)
    points = vs.Events(grid[:, None], names=("x",))
    few, more = members(2), members(4)
    logs = more.log_densities(points)
    np.testing.assert_array_equal(few.log_densities(points), logs[:, :2])
    totals = np.trapezoid(np.exp(logs), grid, axis=0)
    np.testing.assert_allclose(totals, 1.0, atol=2e-4)
    centre = logs[np.abs(grid) < 3]
    assert centre.std(axis=1).mean() > 0.005


def test_heads_of_the_stacked_engine_are_those_of_the_compiled_one() -> None:
    if not compiles(trunk(2).shape):
        pytest.skip("no compiled library on this machine")
    trainer = LastLayerTrainer(trunk(2), epochs=2, batch=64)
    training, validation = events(2).split((0.8, 0.2), vs.Seeds(1))
    engines = (vs.density.Compiled(), vs.density.Stacked())
    one, other = (
        trainer.fit_many([(training, validation, vs.Seeds(2))], engine)[0] for engine in engines
    )
    assert isinstance(one, Fitted)
    assert isinstance(other, Fitted)
    for name, values in one.model.parameters.items():
        np.testing.assert_allclose(values, other.model.parameters[name], atol=2e-3)


def test_training_keeps_its_last_epoch_whatever_the_validation_loss() -> None:
    record = members(1, epochs=3).records[0]
    assert (record.best_epoch, len(record.validation_curve)) == (2, 3)


def test_weights_of_the_members_are_fitted_like_any_others() -> None:
    ensemble = members()
    further = vs.Events(camel_events(1600).x[1000:], names=events().names)
    mixture = vs.fit_mixture(vs.Run(vs.Seeds(4)), ensemble, further)
    assert mixture.weights.sum() == pytest.approx(1.0, abs=1e-6)
    assert np.isfinite(mixture.log_prob(further.x)).all()


def test_the_trunk_is_part_of_the_settings() -> None:
    other = flow_of(events(), 9)
    mine, again, others = (LastLayerTrainer(t).config() for t in (trunk(), trunk(), other))
    assert mine == again
    assert mine != others


def test_what_cannot_work_is_refused() -> None:
    trainer = LastLayerTrainer(trunk())
    with pytest.raises(InputError, match=r"LastLayerTrainer\.trunk"):
        LastLayerTrainer(FLOW)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="epochs=0"):
        LastLayerTrainer(trunk(), epochs=0)
    with pytest.raises(InputError, match="those of the trunk"):
        trainer.check(vs.Events(events().x, names=("other",)))
    with pytest.raises(InputError, match=r"Loop\(\) for last layers"):
        vs.fit_ensemble(
            vs.Run(vs.Seeds(3)),
            events(),
            vs.BootstrapPlan(1),
            trainer,
            engine=vs.density.Loop(),
        )
