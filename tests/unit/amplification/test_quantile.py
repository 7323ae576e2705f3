"""The quantile measure: known answers, boundaries, warnings and refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from camel_generators import (
    FITTED_GAIN,
    Generator,
    camel_quantiles,
    expected_inverse_gain,
    fitted,
    kernel_density,
    kernel_inverse_gain,
    resampled,
)
from statistical import assert_rate, assert_within
from verisimile.checks.amplification.quantile import quantile, quantile_of_trainings
from verisimile.checks.amplification.regions import QuantileRegions, product_regions
from verisimile.checks.amplification.result import Amplification
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import from_dict, to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.truths import Camel

SEEDS = Seeds(5).at("quantile")
RUN = Run(SEEDS)
N_TRAIN = 500
TRUE = QuantileRegions(camel_quantiles(20))


def _events(number: int, n: int) -> Events:
    return Events(Camel().sample(n, SEEDS.at("events", number).numpy()))


def _draws(generator: Generator, n: int, number: int = 0) -> Events:
    return Events(generator.draw(n, SEEDS.at("draws", number).numpy()))


def _memoriser(train: Events) -> Events:
    rng = SEEDS.at("memoriser").numpy()
    return train.take(rng.integers(train.n, size=20_000))


def test_distance_of_a_generator_is_found_without_bias_and_covered() -> None:
    rng = SEEDS.at("bias").numpy()
    pulls, held = [], {0.68: 0, 0.95: 0}
    for number in range(100):
        generator = fitted(N_TRAIN, rng)
        found = quantile(
            RUN,
            _draws(generator, 4000, number),
            _events(number, 1000),
            n_train=N_TRAIN,
            regions=TRUE,
        ).at(20)
        true = expected_inverse_gain(TRUE.edges, generator, N_TRAIN)
        pulls.append(found.inverse_gain.value - true)
        for level in held:
            held[level] += found.interval(level).low <= true <= found.interval(level).high
    for level, count in held.items():
        assert_rate(count, 100, level, alpha=1e-4)
    assert_within(np.mean(pulls), 0.0, np.std(pulls, ddof=1) / 10.0)
    # The defective twin keeps the noise of the counts.
    noise = found.details["counting noise"] * N_TRAIN / 0.95
    with pytest.raises(AssertionError):
        assert_within(np.mean(pulls) + noise, 0.0, np.std(pulls, ddof=1) / 10.0)


@pytest.mark.parametrize(("gain", "count"), [(1.0, 100), (3.0, 50)])
def test_repeated_true_events_are_worth_their_number(gain: float, count: int) -> None:
    generator = resampled(gain)(2000, SEEDS.at("train").numpy())
    found = quantile(
        RUN, _draws(generator, 200_000), _events(1, 20_000), n_train=2000, regions=[count]
    ).points[0]
    # This generator's own distance scatters about the expectation by sqrt(2 / (N - 1)).
    error = math.hypot(found.inverse_gain.error, math.sqrt(2.0 / (count - 1)) / gain)
    assert_within(found.inverse_gain.value, 1.0 / gain, error)
    assert found.interval(0.95).low > 0.0


def test_fit_has_the_gain_of_its_fisher_information() -> None:
    rng = SEEDS.at("fits").numpy()
    samples = [_draws(fitted(1000, rng), 40_000, number) for number in range(8)]
    curve = quantile_of_trainings(RUN, samples, _events(2, 50_000), n_train=1000)
    assert curve.measure == "quantile-of-trainings"
    for count, gain in FITTED_GAIN.items():
        point = curve.at(count)
        assert_within(point.inverse_gain.value, 1.0 / gain, point.inverse_gain.error)
        assert point.inverse_gain.error < 0.5 / gain
        assert point.details["generators"] == 8.0


def test_trainings_scatter_more_than_their_counts() -> None:
    sample = _draws(fitted(1000, SEEDS.at("one").numpy()), 100_000)
    holdout = _events(3, 100_000)
    own = quantile(RUN, sample, holdout, n_train=1000, regions=TRUE).at(20)
    procedure = quantile_of_trainings(RUN, [sample], holdout, n_train=1000, regions=TRUE).at(20)
    assert own.inverse_gain.value == procedure.inverse_gain.value
    assert procedure.inverse_gain.error > 3.0 * own.inverse_gain.error
    # Five parameters: the directions are found within their own scatter.
    assert 2.0 < procedure.details["directions"] < 10.0
    wide = quantile_of_trainings(
        RUN, [sample], holdout, n_train=1000, regions=TRUE, directions=1.0
    ).at(20)
    assert wide.inverse_gain.error > procedure.inverse_gain.error


def test_perfect_generator_has_no_bound_and_it_is_said() -> None:
    point = quantile(RUN, _events(4, 50_000), _events(5, 5000), n_train=1000, regions=[50]).at(50)
    assert point.interval(0.95).low == 0.0
    assert 0.0 < point.interval(0.95).high < 1.0
    assert "no upper bound" in point.warnings[0]
    assert "no bound" in repr(point)
    assert from_dict(to_dict(point)) is not None


def test_memoriser_is_unmasked_by_the_holdout_alone() -> None:
    train = _events(6, 1000)
    curve = quantile(
        RUN, _memoriser(train), _events(7, 10_000), n_train=1000, regions=[50], train=train
    )
    point = curve.at(50)
    assert point.interval(0.95).low < 1.0 < point.interval(0.95).high
    # The defective twin compares with the training sample: worth all the events of the world.
    assert point.details["1/G against train"] < -0.5
    assert "copies of training events" in curve.warnings[0]


def test_weights_are_worth_the_events_that_they_were() -> None:
    # Events of a flat law with the weights of a triangle, against the triangle.
    rng = SEEDS.at("weights").numpy()
    flat = rng.random((40_000, 2))
    weighted = Events(flat, 2.0 * flat[:, 0])
    triangle = np.column_stack([np.sqrt(rng.random(10_000)), rng.random(10_000)])
    point = quantile(RUN, weighted, Events(triangle), n_train=2000, regions=[30]).at(30)
    assert_within(point.inverse_gain.value, 0.0, point.inverse_gain.error)
    unweighted = quantile(RUN, Events(flat), Events(triangle), n_train=2000, regions=[30]).at(30)
    assert unweighted.interval(0.95).low > 10.0


def test_several_features_and_regions_of_the_user() -> None:
    rng = SEEDS.at("boxes").numpy()
    generated, holdout = Events(rng.normal(size=(20_000, 3))), Events(rng.normal(size=(5000, 3)))
    curve = quantile(RUN, generated, holdout, n_train=1000, regions=[16, 8, 100])
    assert [point.resolution for point in curve.points] == [8, 16, 100]
    for point in curve.points:
        assert_within(point.inverse_gain.value, 0.0, point.inverse_gain.error)
        assert point.details["events for edges"] == 10_000
    own = quantile(RUN, generated, holdout, n_train=1000, regions=product_regions([[0.0]] * 3))
    assert own.at(8).details["events for edges"] == 0.0
    assert own.at(8).n_generated == 20_000


def test_columns_are_matched_by_name() -> None:
    rng = SEEDS.at("names").numpy()
    x = rng.normal(size=(4000, 2)) * [1.0, 5.0]
    generated = Events(x[:3000], names=["a", "b"])
    holdout = Events(x[3000:, ::-1], names=["b", "a"])
    point = quantile(RUN, generated, holdout, n_train=1000, regions=[10]).at(10)
    assert_within(point.inverse_gain.value, 0.0, point.inverse_gain.error)


def test_repeated_values_give_fewer_regions_and_it_is_said() -> None:
    rng = SEEDS.at("ties").numpy()
    dice = [Events(rng.integers(1, 7, size=(n, 1)).astype(np.float64)) for n in (6000, 2000)]
    curve = quantile(RUN, dice[0], dice[1], n_train=1000, regions=[10, 50])
    assert [point.resolution for point in curve.points] == [6]
    assert "repeated values" in curve.warnings[0]


def test_few_events_are_said() -> None:
    point = quantile(RUN, _events(8, 900), _events(9, 200), n_train=500, regions=[100]).at(100)
    assert any("holdout events per region" in text for text in point.warnings)
    assert any("generate more" in text for text in point.warnings)


def test_same_seeds_give_the_same_answer() -> None:
    def once() -> list[Amplification]:
        found = quantile(RUN, _events(8, 2000), _events(9, 500), n_train=500, regions=[10, 20])
        return list(found.points)

    assert [to_dict(point) for point in once()] == [to_dict(point) for point in once()]


def _call(**changes: object) -> None:
    arguments: dict[str, object] = {
        "generated": _events(8, 2000),
        "holdout": _events(9, 500),
        "n_train": 500,
        **changes,
    }
    quantile(RUN, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"holdout": None}, "use folds"),
        ({"train": _events(9, 500)}, "all in the training sample"),
        ({"n_train": 1}, "n_train"),
        ({"levels": ()}, "levels"),
        ({"levels": (95.0,)}, "levels"),
        ({"regions": []}, "regions"),
        ({"regions": [10, TRUE]}, "regions"),
        ({"regions": [5000]}, "regions"),
        ({"generated": Events(np.zeros((300, 1)))}, "all alike"),
        ({"generated": Events(np.ones((50, 1)), np.tile([1.0, -0.5], 25))}, "negative"),
        ({"generated": Events(np.ones((50, 2)))}, "columns"),
    ],
)
def test_refusals(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        _call(**changes)


def test_directions_are_positive() -> None:
    with pytest.raises(InputError, match="directions"):
        quantile_of_trainings(RUN, [_events(8, 2000)], _events(9, 500), n_train=500, directions=0.0)


def test_quadrature_of_the_kernel_density_is_the_mean_of_trainings() -> None:
    rng = SEEDS.at("kernel").numpy()
    train = kernel_density(0.5)
    found = np.array([expected_inverse_gain(TRUE.edges, train(100, rng), 100) for _ in range(400)])
    assert_within(found.mean(), kernel_inverse_gain(20, 0.5, 100), found.std(ddof=1) / 20.0)
