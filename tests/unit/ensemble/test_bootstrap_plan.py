"""The grid of replicas and initialisations, and the bootstrap itself."""

from __future__ import annotations

import numpy as np
import pytest

from statistical import assert_within
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.data.row_hashes import row_hashes
from verisimile.ensemble.plan import BootstrapPlan, InitialisationPlan


def test_grid() -> None:
    plan = BootstrapPlan(members=7, initialisations=3)
    assert [plan.replica(m) for m in range(7)] == [0, 0, 0, 1, 1, 1, 2]
    assert [plan.initialisation(m) for m in range(7)] == [0, 1, 2, 0, 1, 2, 0]


def test_counts_are_multinomial(seeds: Seeds) -> None:
    plan, n = BootstrapPlan(), 50
    counts = np.array([plan.counts(n, replica, seeds) for replica in range(400)])
    assert (counts.sum(axis=1) == n).all()
    variance = (1 - 1 / n) / 400
    assert_within(counts.mean(axis=0), 1.0, np.sqrt(variance))
    left_out = (1 - 1 / n) ** n
    error = np.sqrt(left_out * (1 - left_out) / counts.size)
    assert_within((counts == 0).mean(), left_out, error)


def test_counts_depend_on_replica_and_seeds_alone(seeds: Seeds) -> None:
    first = BootstrapPlan(members=4).counts(100, 2, seeds)
    again = BootstrapPlan(members=60, initialisations=2).counts(100, 2, seeds)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, BootstrapPlan().counts(100, 3, seeds))
    assert not np.array_equal(first, BootstrapPlan().counts(100, 2, seeds.at("other")))


def test_training_and_validation_share_no_event(seeds: Seeds) -> None:
    x = np.random.default_rng(1).normal(size=(300, 2))
    weights = np.arange(1.0, 301.0)
    training, validation = BootstrapPlan().split(Events(x, weights), 0, seeds)
    assert training.n == 300
    assert training.overlap(validation) == 0
    distinct = np.unique(row_hashes(training.x)).size
    assert distinct + validation.n == 300
    # Weights stay with their events.
    both = {tuple(row): weight for row, weight in zip(x, weights, strict=True)}
    for part in (training, validation):
        assert part.weights is not None
        assert all(both[tuple(r)] == w for r, w in zip(part.x, part.weights, strict=True))


def test_whole_groups_are_left_out_for_early_stopping(seeds: Seeds) -> None:
    group = np.repeat(np.arange(50), 3)
    events = Events(np.random.default_rng(6).normal(size=(150, 1)), group=group)
    training, validation = InitialisationPlan(validation=0.2).split(events, 0, seeds)
    assert (training.n, validation.n) == (120, 30)
    assert set(
        np.unique(group[np.isin(events.x[:, 0], validation.x[:, 0])], return_counts=True)[1]
    ) == {3}


def test_repeated_rows_do_not_leak_into_validation(seeds: Seeds) -> None:
    x = np.repeat(np.random.default_rng(1).normal(size=(200, 1)), 3, axis=0)
    training, validation = BootstrapPlan().split(Events(x), 0, seeds)
    assert training.overlap(validation) == 0
    # A value is left out if its three copies are.
    assert 0 < validation.n < 0.15 * 600


def test_too_few_distinct_events_are_refused(seeds: Seeds) -> None:
    with pytest.raises(InputError, match="1 of them distinct"):
        BootstrapPlan().split(Events(np.ones((20, 1))), 0, seeds)


@pytest.mark.parametrize(
    "settings",
    [
        {"members": 0},
        {"members": 2, "initialisations": 3},
        {"initialisations": 0},
        {"max_failed": 1.0},
        {"max_failed": -0.1},
        {"max_failed": float("nan")},
    ],
)
def test_impossible_plans_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(InputError, match="BootstrapPlan"):
        BootstrapPlan(**settings)  # type: ignore[arg-type]


def test_replicas_of_grouped_events_hold_whole_groups() -> None:
    group = np.repeat(np.arange(50), 3)
    x = np.random.default_rng(5).normal(size=(150, 1))
    events, plan, seeds = Events(x, group=group), BootstrapPlan(members=4), Seeds(3)
    counts = np.array([plan.counts(150, r, seeds, group=events.group) for r in range(400)])
    assert (counts.reshape(400, 50, 3) == counts.reshape(400, 50, 3)[:, :, :1]).all()
    assert (counts.sum(axis=1) == 150).all()
    # Mean 1 and variance 1 - 1/G of each count; 400 replicas of 50 groups.
    groups = counts[:, ::3]
    assert abs(groups.var(axis=0).mean() - (1 - 1 / 50)) < 5 * np.sqrt(2 / (400 * 50))
    training, validation = plan.split(events, 1, seeds)
    assert set(training.x[:, 0]).isdisjoint(validation.x[:, 0])
    assert training.n == 150
    assert validation.n % 3 == 0


def test_initialisations_share_their_events(seeds: Seeds) -> None:
    events = Events(np.random.default_rng(1).normal(size=(500, 2)))
    plan = InitialisationPlan(members=3, validation=0.1)
    assert [(plan.replica(m), plan.initialisation(m)) for m in range(3)] == [(0, 0), (0, 1), (0, 2)]
    training, validation = plan.split(events, 0, seeds)
    assert (training.n, validation.n) == (450, 50)
    assert training.overlap(validation) == 0
    # Every training event once, and the same events whatever the number of members.
    assert np.unique(row_hashes(training.x)).size == 450
    again, _ = InitialisationPlan(members=60, validation=0.1).split(events, 0, seeds)
    np.testing.assert_array_equal(training.x, again.x)
    # The defective twin trains on 63 % of the rows.
    replica, _ = BootstrapPlan(members=3, initialisations=3).split(events, 0, seeds)
    assert np.unique(row_hashes(replica.x)).size < 350


def test_repeated_rows_do_not_leak_into_the_shared_validation(seeds: Seeds) -> None:
    x = np.repeat(np.random.default_rng(1).normal(size=(200, 1)), 2, axis=0)
    training, validation = InitialisationPlan(validation=0.3).split(Events(x), 0, seeds)
    assert training.n == 280
    assert training.overlap(validation) == 0
    with pytest.raises(InputError, match="early stopping"):
        InitialisationPlan().split(Events(np.ones((20, 1))), 0, seeds)


def test_two_events_leave_one_for_each(seeds: Seeds) -> None:
    events = Events(np.array([[0.0], [1.0]]))
    training, validation = InitialisationPlan(validation=0.01).split(events, 0, seeds)
    assert (training.n, validation.n) == (1, 1)


@pytest.mark.parametrize(
    "settings",
    [{"members": 0}, {"validation": 0.0}, {"validation": 1.0}, {"max_failed": -0.1}],
)
def test_impossible_shared_plans_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(InputError, match="InitialisationPlan"):
        InitialisationPlan(**settings)  # type: ignore[arg-type]


def test_plans_have_records_of_their_own() -> None:
    # Both give member 1 initialisation 1 of sample 0, which are other events.
    other = BootstrapPlan(members=2, initialisations=2)
    assert other.place(1) == {"replica": 0, "initialisation": 1}
    assert InitialisationPlan(members=2).place(1) != other.place(1)
    assert InitialisationPlan().config() != BootstrapPlan().config()
