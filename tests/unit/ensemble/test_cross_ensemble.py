"""Ensembles over folds: who has seen what, the same bits after a stop, and read back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError, NumericsError, StoreError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.density.flows.trainer import SplineFlowTrainer
from verisimile.density.mapped import MappedDensity
from verisimile.density.mixtures.gaussian import GaussianMixtureTrainer
from verisimile.density.protocol import Fitted
from verisimile.ensemble.cross import (
    CrossEnsemble,
    fit_cross_ensemble,
    folds_of,
    load_cross_ensemble,
    load_trained,
)
from verisimile.ensemble.fit import fit_ensemble, load_ensemble
from verisimile.ensemble.plan import BootstrapPlan

PLAN = BootstrapPlan(members=3)
TRAINER = GaussianMixtureTrainer(components=(2,))


@pytest.fixture(scope="module")
def events() -> Events:
    return Events(np.random.default_rng(1).normal(size=(240, 2)), names=("a", "b"))


@pytest.fixture(scope="module")
def ensemble(events: Events) -> CrossEnsemble:
    return fit_cross_ensemble(Run(Seeds(1)), events, PLAN, TRAINER)


def test_members_are_averages_over_the_folds(events: Events, ensemble: CrossEnsemble) -> None:
    assert repr(ensemble) == "CrossEnsemble(M=3, folds=4, features=(a, b))"
    assert (len(ensemble), len(ensemble.members), len(ensemble.records)) == (3, 3, 12)
    assert [r.address for r in ensemble.records] == [f"members/{i:04d}" for i in range(12)]
    assert [r.member for r in ensemble.records] == list(range(12))
    each = [np.exp(fold.members[1].log_prob(events.x)) for fold in ensemble.folds]
    found = np.exp(ensemble.members[1].log_prob(events.x))
    np.testing.assert_allclose(found, np.mean(each, axis=0))


def test_every_event_has_a_fold_and_groups_stay_together(events: Events) -> None:
    assert np.bincount(folds_of(events, 4, Seeds(1))).tolist() == [60] * 4
    assert np.bincount(folds_of(events, 7, Seeds(1))).tolist() == [35, 35, 34, 34, 34, 34, 34]
    group = np.arange(240) // 3
    fold = folds_of(Events(events.x, group=group), 4, Seeds(1))
    assert all(len({*fold[group == g]}) == 1 for g in range(80))
    assert np.bincount(fold).min() > 50


def test_an_event_has_no_part_in_its_own_density(events: Events, ensemble: CrossEnsemble) -> None:
    """Its twin: the averages, all of which have seen the event, change with it."""
    x = events.x.copy()
    x[17] = (9.0, -9.0)
    moved = Events(x, names=("a", "b"))
    other = fit_cross_ensemble(Run(Seeds(1)), moved, PLAN, TRAINER)
    np.testing.assert_array_equal(other.fold, ensemble.fold)
    k = int(ensemble.fold[17])
    parts = [part.log_prob(x[17:18])[0] for part in ensemble.folds[k].members]
    assert other.out_of_fold(moved)[17].tolist() == pytest.approx(parts, abs=0)
    mates = (ensemble.fold == k) & (np.arange(240) != 17)
    before, after = ensemble.out_of_fold(events), other.out_of_fold(moved)
    np.testing.assert_array_equal(before[mates], after[mates])
    # Of the flows of the other folds, those whose replica has the event are others now.
    assert (before[ensemble.fold != k] != after[ensemble.fold != k]).any(axis=1).all()
    for was, now in zip(ensemble.members, other.members, strict=True):
        assert now.log_prob(x[17:18])[0] > was.log_prob(x[17:18])[0] + 1.0


def test_out_of_fold_densities_need_the_events_of_the_training(
    events: Events, ensemble: CrossEnsemble
) -> None:
    for other in (events.take(np.arange(100)), events.take(np.arange(240)[::-1])):
        with pytest.raises(InputError, match="was not trained on"):
            ensemble.out_of_fold(other)
    swapped = ensemble.out_of_fold(Events(events.x[:, ::-1], names=("b", "a")))
    np.testing.assert_array_equal(swapped, ensemble.out_of_fold(events))


def test_densities_of_two_folds_at_one_sample_are_kept_apart(ensemble: CrossEnsemble) -> None:
    fresh = Events(np.random.default_rng(2).normal(size=(20, 2)), names=("a", "b"))
    first, second = (fold.log_densities(fresh) for fold in ensemble.folds[:2])
    assert (first != second).all()
    np.testing.assert_array_equal(ensemble.folds[0].log_densities(fresh), first)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "members").glob("*.s*"))}


@dataclass(frozen=True)
class Interrupted:
    """A trainer that stops everything at one training."""

    at: list[int]

    def config(self) -> dict[str, JSON]:
        return TRAINER.config()

    def fit(self, training: Events, validation: Events, seeds: Seeds) -> Fitted[MappedDensity]:
        self.at[0] -= 1
        if self.at[0] < 0:
            raise KeyboardInterrupt
        return TRAINER.fit(training, validation, seeds)


def test_a_stopped_training_goes_on_to_the_same_bytes(tmp_path: Path, events: Events) -> None:
    whole = fit_cross_ensemble(Run(Seeds(1), store=tmp_path / "a"), events, PLAN, TRAINER)
    run = Run(Seeds(1), store=tmp_path / "b")
    with pytest.raises(KeyboardInterrupt):
        fit_cross_ensemble(run, events, PLAN, Interrupted([7]))
    assert len(content(tmp_path / "b")) == 7
    with pytest.raises(StoreError, match=r"members/0007.* a missing record"):
        load_cross_ensemble(run)
    resumed = fit_cross_ensemble(run, events, PLAN, Interrupted([5]))
    arrays = [
        [part.core.payload().arrays["means"] for fold in each.folds for part in fold.models]  # type: ignore[union-attr]
        for each in (whole, resumed)
    ]
    np.testing.assert_array_equal(arrays[0], arrays[1])
    assert [r.sha256 for r in resumed.records] == [r.sha256 for r in whole.records]
    read = load_cross_ensemble(Run(Seeds(5), store=tmp_path / "b"))
    np.testing.assert_array_equal(read.out_of_fold(events), whole.out_of_fold(events))
    assert read.provenance[0].digest == events.digest


def test_a_damaged_flow_is_named_and_mended(tmp_path: Path, events: Events) -> None:
    run = Run(Seeds(1), store=tmp_path)
    fit_cross_ensemble(run, events, PLAN, TRAINER)
    before = content(tmp_path)
    path = tmp_path / "members" / "0010.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(StoreError, match=r"members/0010.* a corrupt record"):
        load_trained(run)
    fit_cross_ensemble(run, events, PLAN, TRAINER)
    assert content(tmp_path) == before


def test_a_folder_holds_one_kind_of_ensemble(tmp_path: Path, events: Events) -> None:
    crossed, plain = (Run(Seeds(1), store=tmp_path / name) for name in ("crossed", "plain"))
    fit_cross_ensemble(crossed, events, PLAN, TRAINER)
    fit_ensemble(plain, events, PLAN, TRAINER)
    assert isinstance(load_trained(crossed), CrossEnsemble)
    assert len(load_trained(plain)) == 3
    with pytest.raises(StoreError, match="over 4 folds"):
        load_ensemble(crossed)
    with pytest.raises(StoreError, match="without folds"):
        load_cross_ensemble(plain)
    again: list[Callable[[], Any]] = [
        lambda: fit_ensemble(crossed, events, PLAN, TRAINER),
        lambda: fit_cross_ensemble(plain, events, PLAN, TRAINER),
        lambda: fit_cross_ensemble(crossed, events, PLAN, TRAINER, folds=3),
    ]
    for call in again:
        with pytest.raises(StoreError, match=r"other settings \(.*folds"):
            call()


@dataclass(frozen=True)
class Failing:
    """Moments, unless the training is one of those that fail: counted over all."""

    fail: tuple[int, ...]
    seen: list[int]

    def config(self) -> dict[str, JSON]:
        return {"fail": list(self.fail)}

    def fit(self, training: Events, validation: Events, seeds: Seeds) -> Fitted[MappedDensity]:
        self.seen.append(0)
        if len(self.seen) - 1 in self.fail:
            raise NumericsError("toy", got="nan", expected="a number")
        return TRAINER.fit(training, validation, seeds)


def test_folds_keep_as_many_flows_as_the_smallest_has(tmp_path: Path, events: Events) -> None:
    run = Run(Seeds(1), store=tmp_path)
    found = fit_cross_ensemble(run, events, PLAN, Failing((1, 6), []))
    assert (len(found), len(found.failures)) == (2, 2)
    kept = [r.member for r in found.records]
    assert kept == [0, 2, 3, 4, 7, 8, 9, 10]
    assert [r.member for r in load_cross_ensemble(run).records] == kept
    plan = BootstrapPlan(members=1, max_failed=0.3)
    with pytest.raises(NumericsError, match="every training failed"):
        fit_cross_ensemble(Run(Seeds(1)), events, plan, Failing((2,), []))


def test_bad_input_is_refused_before_any_training(events: Events) -> None:
    for folds in (1, 121):
        with pytest.raises(InputError, match="folds"):
            fit_cross_ensemble(Run(Seeds(1)), events, PLAN, TRAINER, folds=folds)
    conditional: Any = SplineFlowTrainer().given("b")
    with pytest.raises(InputError, match="without context"):
        fit_cross_ensemble(Run(Seeds(1)), events, PLAN, conditional)
    weighted = Events(events.x, np.ones(240))
    with pytest.raises(InputError, match="without weights"):
        fit_cross_ensemble(Run(Seeds(1)), weighted, PLAN, TRAINER)
