from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.spatial import cKDTree

from memorising import samples
from statistical import assert_uniform
from verisimile.checks.amplification.memorisation import Memorisation, memorisation
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import from_dict, to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events

REPETITIONS = 120


def alarm(kind: str, seed: int, *, n: int = 1000) -> Memorisation:
    return memorisation(Run(Seeds(seed)), *samples(kind, n, np.random.default_rng(seed)))


def test_the_statistics_are_those_of_a_direct_count() -> None:
    rng = np.random.default_rng(1)
    generated, holdout, train = samples("kernel density", 300, rng)
    holdout = holdout.take(np.arange(100))
    found = memorisation(Run(Seeds(1)), generated, holdout, train, permutations=99)
    union = np.concatenate([train.x, holdout.x])
    scale = union.std(axis=0)
    distances, rows = cKDTree(union / scale).query(generated.x / scale, k=2)
    mine = rows[:, 0] < train.n
    assert found.share.value == pytest.approx(mine.mean())
    assert found.expected_share == 0.75
    assert found.excess == pytest.approx((mine.mean() - 0.75) / 0.25)
    score = np.log(distances[:, 1] / distances[:, 0])
    assert found.log_ratio == pytest.approx(np.where(mine, -score, 3.0 * score).mean())


def test_an_independent_generator_is_rejected_at_the_level() -> None:
    rejected = np.zeros(2, dtype=int)
    spread = []
    rng = np.random.default_rng(2)
    for seed in range(REPETITIONS):
        generated, holdout, train = samples("independent", 150, np.random.default_rng(seed))
        data = (Events(1.1 * generated.x + 0.1), holdout.take(np.arange(40)), train)
        found = memorisation(Run(Seeds(seed)), *data, permutations=99)
        p = np.array([found.share_p.value, found.log_ratio_p.value])
        rejected += p <= 0.05 + 1e-12
        spread.append(found.log_ratio_p.value)
    assert_uniform(spread, steps=100, rng=rng)
    for count in rejected:
        assert stats.binom.sf(count - 1, REPETITIONS, 0.05) > 1e-5


def _jittered(rng: np.random.Generator, n: int, share: float) -> tuple[Events, Events]:
    """Return generated and training events of which some are copies moved by 0.1 %."""
    train = rng.normal(size=(n, 2))
    copies = train + 1e-3 * rng.normal(size=train.shape)
    own = rng.random((n, 1)) >= share
    return Events(np.where(own, rng.normal(size=train.shape), copies)), Events(train)


@pytest.mark.parametrize(
    ("n", "held", "share"), [(1000, 50, 1.0), (400, 40, 1.0), (1000, 1000, 0.1)]
)
def test_moved_copies_raise_the_alarm_however_small_the_holdout(
    n: int, held: int, share: float
) -> None:
    alarms, cut = 0, 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        generated, train = _jittered(rng, n, share)
        holdout = Events(rng.normal(size=(held, 2)))
        found = memorisation(Run(Seeds(seed)), generated, holdout, train, permutations=199)
        assert found.p_value.value == pytest.approx(1 / 200, abs=0.006)
        assert [each.kind for each in found.kinds] == ["near"]
        alarms += found.alarm
        # The twin cuts train to the size of the holdout and asks for its share above 0.55.
        few = memorisation(
            Run(Seeds(seed)), generated, holdout, train.take(np.arange(held)), permutations=199
        )
        cut += few.share.value > 0.55 and few.share_p.value <= 0.01
    assert alarms == 6
    assert cut <= 4


def test_copies_in_single_precision_and_other_order_are_named() -> None:
    rng = np.random.default_rng(1)
    train, holdout = rng.normal(size=(2, 500, 3))
    single = memorisation(
        Run(Seeds(1)), Events(train.astype(np.float32)), Events(holdout), Events(train)
    )
    assert single.alarm
    assert (single.copies, single.near_copies) == (0, 1.0)
    assert [(each.kind, each.count) for each in single.kinds] == [("float32", 500)]
    turned = memorisation(
        Run(Seeds(1)), Events(train[:, ::-1]), Events(holdout), Events(train), permutations=99
    )
    assert "columns in another order" in turned.warnings[0]


def test_relabeling_generated_events_is_not_the_null() -> None:
    # A twin with one defect: generated and training events are exchanged instead, as for
    # the question whether they differ.  A memoriser is then as good as any generator.
    rng = np.random.default_rng(3)
    generated, _, train = samples("smeared copies", 400, rng)
    pool = np.concatenate([generated.x, train.x])

    def distance(first: np.ndarray) -> float:
        return float(np.abs(pool[first].mean(axis=0) - pool[~first].mean(axis=0)).sum())

    labels = np.arange(len(pool)) < generated.n
    toys = [distance(rng.permutation(labels)) for _ in range(99)]
    p = (1 + sum(toy >= distance(labels) for toy in toys)) / 100
    assert p > 0.05
    assert alarm("smeared copies", 3, n=400).alarm


@pytest.mark.parametrize("kind", ["copies", "smeared copies"])
def test_memorisers_raise_the_alarm(kind: str) -> None:
    found = alarm(kind, 4)
    assert found.alarm
    assert found.share.value > 0.9
    assert found.log_ratio < -1.0
    assert found.log_ratio_p.value == pytest.approx(1e-3)
    assert found.copies == (1000 if kind == "copies" else 0)


def test_few_copies_raise_the_alarm_by_their_number() -> None:
    found = alarm("few copies", 5)
    assert found.alarm
    assert found.share.value < 0.55
    assert 20 < found.copies < 90
    assert found.holdout_copies == 0
    assert found.copies_p.value <= 0.01


def test_a_smooth_generator_depends_on_its_sample_within_the_tolerance() -> None:
    # A kernel density is not innocent: with more events its dependence is significant.
    found = alarm("kernel density", 6, n=2000)
    assert not found.alarm
    assert 0.5 < found.share.value < 0.55
    assert found.kinds == ()
    asked = memorisation(
        Run(Seeds(6)), *samples("kernel density", 2000, np.random.default_rng(6)), tolerance=0.0
    )
    assert asked.p_value.value < 0.05


def test_coincidences_of_discrete_values_raise_none() -> None:
    # On a lattice training and holdout share many values, with each other and with everyone.
    alarms, rejected = 0, 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        data = [Events((2.0 * rng.normal(size=(150, 2))).round()) for _ in range(3)]
        found = memorisation(Run(Seeds(seed)), data[0], data[1], data[2], permutations=99)
        assert min(found.copies, found.holdout_copies) > 50
        assert found.kinds == ()
        alarms += found.alarm
        rejected += found.copies_p.value <= 0.05 + 1e-12
    assert stats.binom.sf(rejected - 1, 60, 0.05) > 1e-5
    assert stats.binom.sf(alarms - 1, 60, 0.02) > 1e-5


def test_a_subset_of_generated_events_is_said() -> None:
    generated, holdout, train = samples("copies", 400, np.random.default_rng(8))
    found = memorisation(Run(Seeds(8)), generated, holdout.take(np.arange(100)), train, most=200)
    assert found.alarm
    assert (found.n_generated, found.n_train, found.n_holdout) == (200, 400, 100)
    assert any("200 of 400 generated events were used" in text for text in found.warnings)


def test_result_survives_storage() -> None:
    found = alarm("copies", 9, n=100)
    again = from_dict(to_dict(found))
    assert isinstance(again, Memorisation)
    assert again.share == found.share
    assert "ALARM" in repr(found)


def test_impossible_input_is_refused() -> None:
    generated, holdout, train = samples("independent", 100, np.random.default_rng(10))
    run = Run(Seeds(1))
    with pytest.raises(InputError, match="holdout"):
        memorisation(run, generated, train, train)
    with pytest.raises(InputError, match="holdout"):
        memorisation(run, generated, Events(train.x.astype(np.float32)), train)
    with pytest.raises(InputError, match="tolerance"):
        memorisation(run, generated, holdout, train, tolerance=1.0)
    with pytest.raises(InputError, match="permutations"):
        memorisation(run, generated, holdout, train, permutations=10)
    with pytest.raises(InputError, match="at least 20"):
        memorisation(run, generated.take([0, 1]), holdout, train)
