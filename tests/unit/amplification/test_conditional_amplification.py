"""G along a condition: bands that hold together, bins, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import verisimile as vs
from condition_study import pointwise, pseudo_experiment, within
from statistical import assert_rate
from verisimile.core.errors import InputError
from verisimile.core.result import from_dict, to_dict

LEVEL = 0.68


def test_bands_cover_together_and_single_intervals_do_not() -> None:
    repetitions, hits = 40, np.zeros(2, dtype=int)
    for seed in range(repetitions):
        found, truth = pseudo_experiment(seed, levels=(LEVEL,))
        hits += [within(found.band(LEVEL), truth), within(pointwise(found, LEVEL), truth)]
    assert_rate(int(hits[0]), repetitions, LEVEL, alpha=1e-3)
    with pytest.raises(AssertionError):
        assert_rate(int(hits[1]), repetitions, LEVEL, alpha=1e-3)


def test_different_gains_are_told_and_equal_ones_are_not() -> None:
    found, _ = pseudo_experiment(1, levels=(0.95,), gains=(0.1, 5.0, np.inf))
    assert found.constant(0.95) is None
    low, high = found.gain_band(0.95)
    assert high[0] < low[1]
    assert np.isinf(high[-1])
    same, _ = pseudo_experiment(2, levels=(0.95,), gains=(2.0,) * 3)
    constant = same.constant(0.95)
    assert constant is not None
    assert constant.low < 0.5 < constant.high


def test_a_procedure_takes_the_bonferroni_share() -> None:
    found, _ = pseudo_experiment(3, levels=(0.95,), gains=(1.0, 2.0, 4.0), trainings=3)
    one, _ = pseudo_experiment(3, levels=(1.0 - 0.05 / 3.0,), gains=(1.0, 2.0, 4.0), trainings=3)
    np.testing.assert_array_equal(found.band(0.95), np.array(pointwise(one, 1.0 - 0.05 / 3.0)))
    assert found.points[0].measure == "quantile-of-trainings"


def _samples(n: int = 4000) -> tuple[vs.Events, vs.Events]:
    x = np.random.default_rng(1).normal(size=(2, n, 3))
    first, second = (vs.Events(each, names=["x", "y", "c"]) for each in x)
    return first, second


def test_training_events_are_counted_where_they_are_given() -> None:
    generated, holdout = _samples()
    train = vs.Events(np.zeros((50, 3)) + np.arange(50)[:, None] % 2 - 0.5, names=["x", "y", "c"])
    run = vs.Run(vs.Seeds(1))
    counted = vs.amplification.conditional(
        run, [generated], holdout, "c", n_train=50, train=train, bins=(0.0,), regions=(4,)
    )
    assert [point.n_train for point in counted.points] == [25, 25]
    shared = vs.amplification.conditional(run, [generated], holdout, "c", n_train=1000)
    assert [point.n_train for point in shared.points] == [200] * 5
    assert shared.edges.size == 4
    assert (np.diff(shared.centres) > 0.0).all()
    assert from_dict(to_dict(shared)).edges.tolist() == shared.edges.tolist()  # type: ignore[attr-defined]


def test_a_condition_alone_is_resolved_itself() -> None:
    generated, holdout = (each.select(["c"]) for each in _samples())
    found = vs.amplification.conditional(
        vs.Run(vs.Seeds(1)), [generated], holdout, "c", n_train=500, bins=3
    )
    assert [point.resolution for point in found.points] == [10] * 3
    constant = found.constant(0.95)
    assert constant is not None
    assert constant.low == 0.0


@pytest.mark.parametrize(
    ("feature", "bins", "regions", "words"),
    [
        ("z", 5, (10,), "expected one of 'x', 'y', 'c'"),
        ("c", (1.0, 0.0), (10,), "ascending inner edges"),
        ("c", (0.0, 50.0), (10,), "0 events in bin 3 of 'c'"),
        ("c", 5, (10, 20), "2 resolutions"),
        ("c", 5, (1000,), "in each of 5 bins"),
    ],
)
def test_what_cannot_be_measured_is_said(
    feature: str, bins: int | tuple[float, ...], regions: tuple[int, ...], words: str
) -> None:
    generated, holdout = _samples()
    with pytest.raises(InputError, match=words):
        vs.amplification.conditional(
            vs.Run(vs.Seeds(1)),
            [generated],
            holdout,
            feature,
            n_train=100,
            bins=bins,
            regions=regions,
        )


def test_the_study_holds_it_and_the_classifier() -> None:
    generated, holdout = _samples()
    study = vs.amplify(
        vs.Run(vs.Seeds(1)),
        [generated],
        holdout,
        n_train=500,
        regions=(5, 8),
        condition="c",
        bins=2,
    )
    assert study.conditional is not None
    assert study.classifier in study.measures
    assert [point.resolution for point in study.conditional.points] == [5, 5]
