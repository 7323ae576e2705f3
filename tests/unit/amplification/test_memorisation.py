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


def test_the_share_is_that_of_a_direct_count() -> None:
    generated, holdout, train = samples("kernel density", 300, np.random.default_rng(1))
    found = memorisation(Run(Seeds(1)), generated, holdout, train, relabelings=99)
    scale = np.concatenate([train.x, holdout.x]).std(axis=0)
    to_train = cKDTree(train.x / scale).query(generated.x / scale)[0]
    to_holdout = cKDTree(holdout.x / scale).query(generated.x / scale)[0]
    assert found.share.value == pytest.approx(np.mean(to_train < to_holdout))
    floor = 1e-3 * np.median(np.minimum(to_train, to_holdout))
    ratio = np.log((to_train + floor) / (to_holdout + floor)).mean()
    # A neighbour beyond the eighth counts as the eighth: nearly the same.
    assert found.log_ratio == pytest.approx(ratio, abs=0.01)


def test_an_independent_generator_is_rejected_at_the_level() -> None:
    rejected = np.zeros(2, dtype=int)
    spread = []
    rng = np.random.default_rng(2)
    for seed in range(REPETITIONS):
        data = samples("independent", 150, np.random.default_rng(seed))
        found = memorisation(Run(Seeds(seed)), *data, relabelings=99)
        p = np.array([found.share_p.value, found.log_ratio_p.value])
        rejected += p <= 0.05 + 1e-12
        spread.append(found.log_ratio_p.value)
        assert found.copies_p.value == 1.0
    assert_uniform(spread, steps=100, rng=rng)
    for count in rejected:
        assert stats.binom.sf(count - 1, REPETITIONS, 0.05) > 1e-5


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


def test_a_smooth_generator_depends_on_its_sample_and_raises_none() -> None:
    found = alarm("kernel density", 6, n=2000)
    assert not found.alarm
    assert 0.5 < found.share.value < 0.55


def test_coincidences_of_discrete_values_raise_none() -> None:
    # On a lattice training and holdout share many values, with each other and with everyone.
    alarms, rejected = 0, 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        data = [Events((2.0 * rng.normal(size=(150, 2))).round()) for _ in range(3)]
        found = memorisation(Run(Seeds(seed)), data[0], data[1], data[2], relabelings=99)
        assert min(found.copies, found.holdout_copies) > 50
        alarms += found.alarm
        rejected += found.copies_p.value <= 0.05 + 1e-12
    assert stats.binom.sf(rejected - 1, 60, 0.05) > 1e-5
    assert stats.binom.sf(alarms - 1, 60, 0.02) > 1e-5


def test_copies_hidden_by_the_limit_are_said() -> None:
    generated, holdout, train = samples("copies", 400, np.random.default_rng(8))
    found = memorisation(Run(Seeds(8)), generated, holdout.take(np.arange(100)), train, most=200)
    assert found.alarm
    assert (found.n_generated, found.n_train, found.n_holdout) == (200, 100, 100)
    assert any("copies of the others" in text for text in found.warnings)


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
    with pytest.raises(InputError, match="relabelings"):
        memorisation(run, generated, holdout, train, relabelings=10)
    with pytest.raises(InputError, match="at least 20"):
        memorisation(run, generated.take([0, 1]), holdout, train)
