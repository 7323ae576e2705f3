"""Spline flows trained by the engines: early stopping, failures, checkpoints, what is recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from verisimile.core import native
from verisimile.core.checkpoint import Checkpoint
from verisimile.core.errors import InputError, NumericsError
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Receipt
from verisimile.core.store import DirectoryStore
from verisimile.data.events import Events
from verisimile.density.flows.descent import Descended, train_together
from verisimile.density.flows.engines import Compiled, Engine, Loop, Stacked
from verisimile.density.flows.packed import PackedLayout
from verisimile.density.flows.spline import SplineFlow
from verisimile.density.flows.trainer import SplineFlowTrainer
from verisimile.density.protocol import Fitted
from verisimile.density.training import prepare

ENGINES: list[Engine] = [Stacked(), *([Compiled()] if native.available() else [])]
TRAINER = SplineFlowTrainer(layers=2, hidden=16, bins=6, epochs=4, learning_rate=3e-3)


def members(count: int, n: int = 600) -> list[tuple[Events, Events, Seeds]]:
    rng = np.random.default_rng(8)
    x = rng.normal(size=(count, n, 2))
    x[..., 1] += 0.5 * x[..., 0] ** 2
    return [
        (Events(each[: n // 2 + 20 * m]), Events(each[n // 2 + 20 * m :]), Seeds(m))
        for m, each in enumerate(x)
    ]


def models(outcomes: list[Fitted[SplineFlow] | NumericsError]) -> list[Fitted[SplineFlow]]:
    return [each for each in outcomes if not isinstance(each, NumericsError)]


@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: e.name)
def test_engines_train_what_the_loop_trains(engine: Engine) -> None:
    jobs = members(3)
    ours = models(TRAINER.fit_many(jobs, engine))
    loop = models(TRAINER.fit_many(jobs, Loop()))
    assert len(ours) == len(loop) == 3
    for one, other, (_, validation, _) in zip(ours, loop, jobs, strict=True):
        np.testing.assert_allclose(one.training_curve, other.training_curve, atol=5e-3)
        np.testing.assert_allclose(one.validation_curve, other.validation_curve, atol=5e-3)
        gap = one.model.log_prob(validation.x) - other.model.log_prob(validation.x)
        assert np.abs(gap).mean() < 0.02
        assert one.meta["engine"] == engine.name
        assert other.meta["engine"] == "loop"


@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: e.name)
def test_a_member_does_not_depend_on_its_neighbours(engine: Engine) -> None:
    jobs = members(4)
    together = models(TRAINER.fit_many(jobs, engine))
    for job, one in zip(jobs, together, strict=True):
        (alone,) = models(TRAINER.fit_many([job], engine))
        np.testing.assert_allclose(one.validation_curve, alone.validation_curve, atol=1e-4)


class Stopping(DirectoryStore):
    """A folder whose process is killed after so many checkpoints."""

    def __init__(self, path: Path, left: int) -> None:
        super().__init__(path)
        self.left = left

    def save(
        self, address: str, fingerprint: str, label: str, payload: Payload, *, seeds: str = ""
    ) -> Receipt:
        receipt = super().save(address, fingerprint, label, payload, seeds=seeds)
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
        return receipt


@pytest.mark.parametrize("kept", [1, 3])
@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: e.name)
def test_a_killed_job_goes_on_to_the_same_bytes(engine: Engine, kept: int, tmp_path: Path) -> None:
    jobs = members(3)
    undisturbed = models(TRAINER.fit_many(jobs, engine))
    killed = Checkpoint(Stopping(tmp_path, kept), "job", "f", seconds=0.0)
    with pytest.raises(KeyboardInterrupt):
        TRAINER.fit_many(jobs, engine, killed)
    left = Checkpoint(DirectoryStore(tmp_path), "job", "f", seconds=0.0)
    found = left.load()
    assert found is not None
    assert found.meta["epoch"] == kept
    resumed = models(TRAINER.fit_many(jobs, engine, left))
    for one, other in zip(undisturbed, resumed, strict=True):
        np.testing.assert_array_equal(one.training_curve, other.training_curve)
        for name, values in one.model.parameters.items():
            np.testing.assert_array_equal(values, other.model.parameters[name])


@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: e.name)
def test_a_member_that_fails_leaves_the_others_alone(engine: Engine) -> None:
    layout = PackedLayout(TRAINER.stack(2))
    students = [prepare(*job, TRAINER.input_map)[1] for job in members(3)]
    rng = np.random.default_rng(1)
    starts = (0.1 * layout.mask * rng.normal(size=(3, layout.size))).astype(np.float32)
    assert isinstance(engine, Stacked | Compiled)
    fine = train_together(layout, starts, students, TRAINER.schedule(), engine)
    starts[1, layout.mask.argmax()] = np.nan
    outcomes = train_together(layout, starts, students, TRAINER.schedule(), engine)
    assert isinstance(outcomes[1], NumericsError)
    assert "epoch 0" in str(outcomes[1])
    for m in (0, 2):
        one, other = fine[m], outcomes[m]
        assert isinstance(one, Descended)
        assert isinstance(other, Descended)
        np.testing.assert_allclose(one.curves.validation, other.curves.validation, atol=1e-4)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: e.name)
def test_training_stops_when_validation_does_not_improve(engine: Engine) -> None:
    trainer = SplineFlowTrainer(
        layers=3, hidden=64, bins=8, epochs=40, patience=2, learning_rate=2e-2
    )
    fits = models(trainer.fit_many(members(2, n=200), engine))
    for fit in fits:
        assert len(fit.validation_curve) == fit.best_epoch + 3
        assert fit.validation_curve.argmin() == fit.best_epoch


def test_an_engine_that_cannot_train_a_flow_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    residual = SplineFlowTrainer(residual=True)
    assert residual.engine(2).name == "loop"
    with pytest.raises(InputError, match="residual"):
        residual.engine(2, Stacked())
    monkeypatch.setenv("VERISIMILE_NATIVE", "0")
    assert TRAINER.engine(2).name == "stacked"
    with pytest.raises(InputError, match="compiled library"):
        TRAINER.engine(2, Compiled())
