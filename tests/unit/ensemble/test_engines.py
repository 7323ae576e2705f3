"""Ensembles by several engines: chosen, recorded, trained as one job, resumed, refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from verisimile.core.arrays import IntArray
from verisimile.core.checkpoint import Checkpoint
from verisimile.core.errors import InputError, NumericsError
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Receipt
from verisimile.core.run import Run
from verisimile.core.store import DirectoryStore
from verisimile.data.events import Events
from verisimile.density.flows.engines import Loop, Stacked
from verisimile.density.flows.trainer import SplineFlowTrainer
from verisimile.density.mixtures.gaussian import GaussianMixtureTrainer
from verisimile.density.protocol import TrainingEngine
from verisimile.ensemble import training
from verisimile.ensemble.cross import fit_cross_ensemble
from verisimile.ensemble.fit import fit_ensemble, load_ensemble
from verisimile.ensemble.plan import BootstrapPlan

TRAINER = SplineFlowTrainer(layers=2, hidden=12, bins=5, epochs=3)
PLAN = BootstrapPlan(members=5)


@pytest.fixture(scope="module")
def events() -> Events:
    return Events(np.random.default_rng(2).normal(size=(400, 2)), names=("a", "b"))


def engines_of(run: Run, members: int) -> list[str]:
    texts = [cast(Any, run.store.read_json(f"members/{m:04d}")) for m in range(members)]
    return [text["meta"]["fit"]["engine"] for text in texts]


def test_members_of_a_stack_are_those_of_the_loop_and_say_so(
    events: Events, tmp_path: Path
) -> None:
    looped, stacked = (Run(Seeds(1), store=tmp_path / name) for name in ("loop", "stacked"))
    one = fit_ensemble(looped, events, PLAN, TRAINER, engine=Loop())
    other = fit_ensemble(stacked, events, PLAN, TRAINER, engine=Stacked(together=3))
    assert engines_of(looped, 5) == ["loop"] * 5
    assert engines_of(stacked, 5) == ["stacked"] * 5
    gap = one.log_densities(events) - other.log_densities(events)
    assert np.abs(gap).mean() < 0.02
    # Jobs and unfinished work are gone, and the ensemble is read back as it was made.
    assert not stacked.store.addresses("stacks")
    assert not stacked.store.addresses("unfinished")
    again = load_ensemble(Run(Seeds(1), store=tmp_path / "stacked"))
    assert [r.sha256 for r in again.records] == [r.sha256 for r in other.records]


def test_members_that_are_there_are_not_trained_again(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(Seeds(1))
    few = fit_ensemble(run, events, BootstrapPlan(members=3), TRAINER, engine=Stacked())
    jobs: list[int] = []
    inner = training._fit

    def counted(
        given: Sequence[training._Job],
        engine: TrainingEngine | None,
        checkpoint: Checkpoint | None,
    ) -> list[Payload | NumericsError]:
        jobs.append(len(given))
        return inner(given, engine, checkpoint)

    monkeypatch.setattr(training, "_fit", counted)
    many = fit_ensemble(run, events, PLAN, TRAINER, engine=Stacked())
    assert jobs == [2]
    assert [r.sha256 for r in many.records[:3]] == [r.sha256 for r in few.records]


class Killed(DirectoryStore):
    """A folder whose process dies when the first job of its members is kept unfinished."""

    def save(
        self, address: str, fingerprint: str, label: str, payload: Payload, *, seeds: str = ""
    ) -> Receipt:
        receipt = super().save(address, fingerprint, label, payload, seeds=seeds)
        if address.startswith("unfinished/"):
            raise KeyboardInterrupt
        return receipt


@pytest.mark.parametrize("engine", [Stacked(together=3), None], ids=["stacked", "fastest"])
def test_a_killed_ensemble_goes_on_to_the_same_bytes(
    events: Events, engine: Stacked | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "_SECONDS", 0.0)
    undisturbed = fit_ensemble(
        Run(Seeds(1), store=tmp_path / "a"), events, PLAN, TRAINER, engine=engine
    )
    with pytest.raises(KeyboardInterrupt):
        fit_ensemble(
            Run(Seeds(1), store=Killed(tmp_path / "b")), events, PLAN, TRAINER, engine=engine
        )
    assert DirectoryStore(tmp_path / "b").addresses("unfinished")
    resumed = fit_ensemble(
        Run(Seeds(1), store=tmp_path / "b"), events, PLAN, TRAINER, engine=engine
    )
    assert [r.sha256 for r in resumed.records] == [r.sha256 for r in undisturbed.records]
    assert not DirectoryStore(tmp_path / "b").addresses("unfinished")


def test_a_job_that_fails_as_a_whole_leaves_its_members_to_themselves(events: Events) -> None:
    # A replica in which every event was drawn has nothing to stop early with.
    class Full(BootstrapPlan):
        def counts(
            self, n: int, replica: int, seeds: Seeds, *, group: IntArray | None = None
        ) -> IntArray:
            counts = super().counts(n, replica, seeds, group=group)
            return np.ones_like(counts) if replica == 1 else counts

    ensemble = fit_ensemble(
        Run(Seeds(1)), events, Full(members=5, max_failed=0.3), TRAINER, engine=Stacked()
    )
    assert len(ensemble) == 4
    assert [failure.address for failure in ensemble.failures] == ["members/0001"]


def test_folds_are_trained_by_engines_too(events: Events) -> None:
    run = Run(Seeds(1))
    ensemble = fit_cross_ensemble(
        run, events, BootstrapPlan(members=2), TRAINER, folds=2, engine=Stacked()
    )
    assert len(ensemble) == 2
    assert engines_of(run, 4) == ["stacked"] * 4


def test_an_engine_for_another_trainer_is_refused_before_any_work(events: Events) -> None:
    run = Run(Seeds(1))
    with pytest.raises(InputError, match="GaussianMixtureTrainer"):
        fit_ensemble(run, events, PLAN, GaussianMixtureTrainer(components=(1,)), engine=Loop())
    assert not run.store.addresses()


@pytest.mark.parametrize("engine", ["compiled", 3, Stacked])
def test_what_is_no_engine_is_refused_before_any_work(events: Events, engine: object) -> None:
    run = Run(Seeds(1))
    with pytest.raises(InputError, match="engine: got"):
        fit_ensemble(run, events, PLAN, TRAINER, engine=engine)  # type: ignore[arg-type]
    assert not run.store.addresses()


def test_a_stack_is_placed_by_a_placement() -> None:
    with pytest.raises(InputError, match=r"Stacked.placement: got 'cuda'"):
        Stacked(placement="cuda")  # type: ignore[arg-type]
