"""Ensembles: the same bits however they are made, resumed, and read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError, NumericsError, StoreError
from verisimile.core.random import Seeds
from verisimile.core.records import Payload
from verisimile.core.run import Run
from verisimile.core.store import DirectoryStore
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.provenance import warn_overlap
from verisimile.data.truths import GaussianTruth
from verisimile.density.flows.trainer import SplineFlowTrainer
from verisimile.density.protocol import Checking, DensityEstimator, Fitted, Trainer
from verisimile.density.registry import register_family
from verisimile.ensemble.fit import fit_ensemble, load_ensemble
from verisimile.ensemble.plan import BootstrapPlan, InitialisationPlan

FEATURES = (Feature("a", low=-1e3, high=1e3), Feature("b"))


class Gauss(GaussianTruth):
    """A Gaussian that can be stored."""

    family = "ensemble-gauss"


register_family(
    "ensemble-gauss",
    lambda model: Payload({"mu": np.array(model.mu), "sigma": np.array(model.sigma)}),
    lambda _, arrays: Gauss(tuple(arrays["mu"]), tuple(arrays["sigma"])),
)


@dataclass(frozen=True)
class GaussTrainer:
    """Moments instead of training; counts its calls, fails where told to."""

    scale: float = 1.0
    fail: tuple[int, ...] = ()

    def config(self) -> dict[str, JSON]:
        return {"family": "ensemble-gauss", "scale": self.scale}

    def fit(self, training: Events, validation: Events, seeds: Seeds) -> Fitted[DensityEstimator]:
        CALLS.append(str(seeds))
        replica = int(seeds.path[-2].removeprefix("#"))
        if replica in self.fail:
            raise NumericsError("toy", got="nan", expected="a number")
        model = Gauss(tuple(training.x.mean(axis=0)), tuple(self.scale * training.x.std(axis=0)))
        curve = np.array([2.0, -model.log_prob(validation.x).mean()])
        return Fitted(model, curve, curve, 1, {"seconds": 0.0})


CALLS: list[str] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    CALLS.clear()


@pytest.fixture
def events() -> Events:
    x = GaussianTruth.paper().sample(200, np.random.default_rng(1))
    return Events(x, features=FEATURES)


PLAN = BootstrapPlan(members=4, initialisations=2)


def run(store: Path | None = None, *, seed: int = 1) -> Run:
    return Run(Seeds(seed), store=store)


def test_members_follow_the_plan(events: Events) -> None:
    ensemble = fit_ensemble(run(), events, PLAN, GaussTrainer())
    assert len(ensemble) == len(ensemble.members) == 4
    assert ensemble.features == events.features
    assert [r.address for r in ensemble.records] == [f"members/{m:04d}" for m in range(4)]
    assert [(r.replica, r.initialisation) for r in ensemble.records] == [
        (0, 0), (0, 1), (1, 0), (1, 1),
    ]  # fmt: skip
    # Moments know no initialisation: one replica, one model.
    first, second, third, _ = ensemble.members
    assert first == second != third
    assert len(set(CALLS)) == 4
    assert ensemble.training_digest == events.digest
    record = ensemble.records[0]
    assert record.n_training + record.n_validation == events.n
    assert record.best_epoch == 1
    assert record.validation_curve[1] < record.validation_curve[0]
    assert ensemble.precision_gap == 0.0


def test_log_densities_by_name_and_once(events: Events, tmp_path: Path) -> None:
    ensemble = fit_ensemble(run(tmp_path), events, PLAN, GaussTrainer())
    logf = ensemble.log_densities(events)
    assert logf.shape == (200, 4)
    for column, member in zip(logf.T, ensemble.members, strict=True):
        np.testing.assert_array_equal(column, member.log_prob(events.x))
    np.testing.assert_array_equal(ensemble.log_densities(events.select(["b", "a"])), logf)
    folder = tmp_path / "density" / events.digest[:16]
    assert sorted(p.name for p in folder.glob("*.json")) == [f"{m:04d}.json" for m in range(4)]
    before = (folder / "0002.json").stat().st_mtime_ns
    np.testing.assert_array_equal(load_ensemble(run(tmp_path)).log_densities(events), logf)
    assert (folder / "0002.json").stat().st_mtime_ns == before
    with pytest.raises(InputError, match="missing: 'b'"):
        ensemble.log_densities(events.select(["a"]))


def test_nothing_is_trained_twice(events: Events, tmp_path: Path) -> None:
    first = fit_ensemble(run(tmp_path), events, PLAN, GaussTrainer())
    assert len(CALLS) == 4
    fit_ensemble(run(tmp_path), events, PLAN, GaussTrainer())
    assert len(CALLS) == 4
    (tmp_path / "members/0001.json").unlink()
    again = fit_ensemble(run(tmp_path), events, PLAN, GaussTrainer())
    assert len(CALLS) == 5
    assert [r.sha256 for r in again.records] == [r.sha256 for r in first.records]


def test_loaded_ensemble_is_the_same(events: Events, tmp_path: Path) -> None:
    fitted = fit_ensemble(run(tmp_path), events, PLAN, GaussTrainer())
    loaded = load_ensemble(run(tmp_path, seed=99))
    assert loaded.members == fitted.members
    assert loaded.features == fitted.features
    assert [r.sha256 for r in loaded.records] == [r.sha256 for r in fitted.records]
    assert loaded.provenance[0].digest == events.digest
    np.testing.assert_array_equal(loaded.provenance[0].rows, fitted.provenance[0].rows)
    with pytest.warns(UserWarning, match="10 of 10 test events"):
        warn_overlap(loaded.provenance, events.take(np.arange(10)), "test")


def test_other_settings_are_refused_before_training(events: Events, tmp_path: Path) -> None:
    fit_ensemble(run(tmp_path), events, PLAN, GaussTrainer())
    CALLS.clear()
    other = Events(events.x[::-1], features=FEATURES)
    renamed = Events(events.x, features=(replace(FEATURES[0], low=-2e3), FEATURES[1]))
    for arguments, message in [
        ((run(tmp_path), events, PLAN, GaussTrainer(2.0)), r"trainer.scale: 1.0 there, 2.0 here"),
        ((run(tmp_path), events, replace(PLAN, members=5), GaussTrainer()), "plan.members: 4"),
        ((run(tmp_path), other, PLAN, GaussTrainer()), "training.digest"),
        ((run(tmp_path), renamed, PLAN, GaussTrainer()), r"features\[0\].low: -1000.0 there"),
        ((run(tmp_path, seed=2), events, PLAN, GaussTrainer()), 'seeds: "1:" there, "2:" here'),
    ]:
        with pytest.raises(StoreError, match=message) as caught:
            fit_ensemble(*arguments)
        assert "Choose another folder" in caught.value.remedy
    assert CALLS == []
    assert len(load_ensemble(run(tmp_path))) == 4


def test_memory_is_overwritten(events: Events) -> None:
    memory = run()
    first = fit_ensemble(memory, events, PLAN, GaussTrainer())
    second = fit_ensemble(memory, events, BootstrapPlan(members=2), GaussTrainer(2.0))
    assert len(second) == 2
    assert first.log_densities(events).shape == (200, 4)


def test_a_damaged_member_is_named_and_mended(events: Events, tmp_path: Path) -> None:
    first = fit_ensemble(run(tmp_path), events, PLAN, GaussTrainer())
    file = tmp_path / "members/0002.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(StoreError, match=r"members/0002.safetensors") as caught:
        load_ensemble(run(tmp_path))
    assert "corrupt" in caught.value.got
    assert "again" in caught.value.remedy
    CALLS.clear()
    mended = fit_ensemble(run(tmp_path), events, PLAN, GaussTrainer())
    assert len(CALLS) == 1
    assert mended.records[2].sha256 == first.records[2].sha256


def test_an_interrupted_training_is_not_loaded(events: Events, tmp_path: Path) -> None:
    fit_ensemble(run(tmp_path), events, PLAN, GaussTrainer())
    (tmp_path / "members/0003.json").unlink()
    with pytest.raises(StoreError, match="members/0003.*missing"):
        load_ensemble(run(tmp_path))


def test_an_empty_or_foreign_store_is_no_ensemble(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such document"):
        load_ensemble(run(tmp_path))
    DirectoryStore(tmp_path).write_json("manifest.json", {"name": "something else"})
    with pytest.raises(StoreError, match="no ensemble's manifest"):
        load_ensemble(run(tmp_path))
    DirectoryStore(tmp_path).write_json("manifest.json", {"schema": "verisimile.ensemble/99"})
    with pytest.raises(StoreError, match="ensemble/99"):
        load_ensemble(run(tmp_path))


def test_a_few_failures_are_recorded(events: Events, tmp_path: Path) -> None:
    plan = BootstrapPlan(members=10, max_failed=0.2)
    trainer = GaussTrainer(fail=(3, 7))
    ensemble = fit_ensemble(run(tmp_path), events, plan, trainer)
    assert len(ensemble) == 8
    assert [f.address for f in ensemble.failures] == ["members/0003", "members/0007"]
    assert ensemble.log_densities(events).shape == (200, 8)
    assert [r.member for r in ensemble.records] == [0, 1, 2, 4, 5, 6, 8, 9]
    loaded = load_ensemble(run(tmp_path))
    assert loaded.failures == ensemble.failures
    assert loaded.members == ensemble.members
    assert "2 failed" in repr(loaded)


def test_many_failures_are_an_error_that_keeps_what_is_done(events: Events, tmp_path: Path) -> None:
    plan = BootstrapPlan(members=4)
    with pytest.raises(NumericsError, match="members/0001: NumericsError: toy"):
        fit_ensemble(run(tmp_path), events, plan, GaussTrainer(fail=(1, 2)))
    CALLS.clear()
    assert len(fit_ensemble(run(tmp_path), events, plan, GaussTrainer())) == 4
    assert len(CALLS) == 2


def test_manifest_tells_what_was_done(events: Events, tmp_path: Path) -> None:
    fit_ensemble(run(tmp_path), events, PLAN, GaussTrainer())
    manifest = DirectoryStore(tmp_path).read_json("manifest.json")
    assert isinstance(manifest, Mapping)
    settings: Any = manifest["settings"]
    assert settings["trainer"] == GaussTrainer().config()
    assert settings["plan"] == PLAN.config()
    assert settings["training"] == {"digest": events.digest, "events": 200}
    assert settings["seeds"] == "1:"
    assert [f["name"] for f in settings["features"]] == ["a", "b"]
    assert manifest["failures"] == []
    versions: Any = manifest["versions"]
    assert {"python", "torch", "nflows", "numpy", "verisimile"} <= set(versions)


def test_signed_weights_are_refused_once_and_at_once(tmp_path: Path) -> None:
    events = Events(np.random.default_rng(1).normal(size=(50, 1)), [1.0] * 49 + [-1.0])
    assert isinstance(SplineFlowTrainer(), Checking)
    assert isinstance(GaussTrainer(), Trainer)
    with pytest.raises(InputError, match="negative event weights"):
        fit_ensemble(run(tmp_path), events, PLAN, SplineFlowTrainer())
    assert list(tmp_path.iterdir()) == []


def test_one_event_is_no_sample() -> None:
    with pytest.raises(InputError, match="at least two events"):
        fit_ensemble(run(), Events([[1.0]]), PLAN, GaussTrainer())


def test_flows_are_the_same_in_any_process(events: Events, tmp_path: Path) -> None:
    trainer = SplineFlowTrainer(layers=1, hidden=8, epochs=2)
    plan = BootstrapPlan(members=2)
    serial = fit_ensemble(run(), events, plan, trainer)
    worker = Run(Seeds(1), executor="loky:1", store=tmp_path)
    parallel = fit_ensemble(worker, events, plan, trainer)
    assert [r.sha256 for r in serial.records] == [r.sha256 for r in parallel.records]
    np.testing.assert_array_equal(serial.log_densities(events), parallel.log_densities(events))
    assert 0.0 < serial.precision_gap < 1e-3
    assert serial.records[0].seconds > 0


def test_initialisations_alone_differ_in_nothing_else(tmp_path: Path) -> None:
    run = Run(Seeds(5), store=tmp_path)
    events = Events(np.random.default_rng(2).normal(size=(200, 2)), features=FEATURES)
    found = fit_ensemble(run, events, InitialisationPlan(members=3), GaussTrainer())
    assert [record.n_training for record in found.records] == [160] * 3
    assert [record.initialisation for record in found.records] == [0, 1, 2]
    # A training without randomness gives one model; each has a stream of its own.
    assert len({model.mu for model in found.models if isinstance(model, Gauss)}) == 1
    assert len(set(CALLS)) == 3
    assert [record.replica for record in load_ensemble(run).records] == [0] * 3
    with pytest.raises(StoreError, match="plan"):
        fit_ensemble(run, events, BootstrapPlan(members=3), GaussTrainer())
