"""Samples as users give them: names, units, scales, weights, constants, copies, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distance_statistics import ALL
from two_samples import SumOfFirst, samples
from verisimile.checks.twosample.permutation import Exchangeable, permutation_test
from verisimile.checks.twosample.result import TwoSample
from verisimile.checks.twosample.statistics.distribution_functions import MarginalKS
from verisimile.checks.twosample.statistics.energy import EnergyDistance
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import load, save
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.samples.coordinates import NormalScores, Standardised
from verisimile.samples.pool import pool_samples
from verisimile.stats.pvalues import PValue


def test_features_are_matched_by_name() -> None:
    first, second = samples()
    swapped = Events(second.x[:, ::-1], names=("x1", "x0"))
    plain, matched = (
        permutation_test(Run(Seeds(1)), first, other, [EnergyDistance()], permutations=19)[0]
        for other in (second, swapped)
    )
    assert matched.observed == plain.observed
    with pytest.raises(InputError, match="columns"):
        permutation_test(
            Run(Seeds(1)), first, Events(second.x, names=("x0", "y")), [EnergyDistance()]
        )
    gev, mev = (Events(second.x, features=[Feature("x0", unit), Feature("x1")]) for unit in "gm")
    with pytest.raises(InputError, match="unit"):
        permutation_test(Run(Seeds(1)), gev, mev, [EnergyDistance()])


def test_weights_travel_with_their_events() -> None:
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=(40, 1)), rng.gamma(2.0, size=40)
    (found,) = permutation_test(
        Run(Seeds(1)),
        Events(x[:20], w[:20]),
        Events(x[20:], w[20:]),
        [SumOfFirst()],
        permutations=Exchangeable(9),
    )
    unit = np.concatenate([w[:20] / w[:20].mean(), w[20:] / w[20:].mean()])
    terms = (x[:, 0] - x.mean()) / x.std() * unit
    pool = pool_samples(Events(x[:20], w[:20]), Events(x[20:], w[20:]), Standardised())
    labels = pool.relabeled(Seeds(1).at("two-sample", "relabel"), 0, 9)
    np.testing.assert_allclose(found.null, labels @ terms)
    assert found.observed == pytest.approx(terms[:20].sum())
    assert found.n_effective == pytest.approx(
        tuple(part.sum() ** 2 / (part**2).sum() for part in (w[:20], w[20:]))
    )


@pytest.mark.parametrize(
    ("accepted", "weights", "reason"),
    [
        ("none", 1.0, "positive weights; expected unweighted events"),
        ("positive", -0.1, "signed weights; expected weights that are not negative"),
    ],
)
def test_weights_that_a_statistic_cannot_take_are_refused(
    accepted: str, weights: float, reason: str
) -> None:
    first, second = samples()
    weighted = Events(first.x, np.where(np.arange(first.n) < 5, weights, 1.0))
    with pytest.raises(InputError, match=reason):
        permutation_test(
            Run(Seeds(1)),
            weighted,
            second,
            [SumOfFirst(weights=accepted)],
            permutations=Exchangeable(),
        )


def test_a_statistic_of_labels_alone_is_no_statistic_of_weights() -> None:
    first, second = samples()
    weighted = Events(first.x, np.where(np.arange(first.n) < 5, 2.0, 1.0))
    with pytest.raises(InputError, match="no function of masses.*Exchangeable"):
        permutation_test(Run(Seeds(1)), weighted, second, [SumOfFirst()])


def test_signed_weights_are_taken_by_distances() -> None:
    first, second = samples(n=100)
    weights = np.where(np.arange(110) % 5 == 0, -0.5, 1.0)
    found = permutation_test(Run(Seeds(1)), first, Events(second.x, weights), ALL, permutations=99)
    assert all(np.isfinite(result.null).all() for result in found)
    assert all(result.p_value.null == "multipliers" for result in found)
    assert not any(result.warnings or result.refusal for result in found)


def test_a_relabeling_without_a_positive_sum_counts_as_extreme() -> None:
    first, second = samples(n=30)
    weights = np.where(np.arange(30) < 14, -1.0, 1.0)
    (found,) = permutation_test(
        Run(Seeds(1)),
        Events(first.x, weights),
        second.take(np.arange(30)),
        [EnergyDistance()],
        permutations=Exchangeable(),
    )
    assert found.p_value.n_failed > 0
    assert found.p_value.value > found.p_value.n_failed / 1000


def test_weights_that_cancel_are_refused() -> None:
    first, second = samples()
    cancelling = Events(second.x, np.where(np.arange(second.n) % 2, 1.0, -1.0))
    with pytest.raises(InputError, match="generated sample: got weights with the sum 0"):
        permutation_test(Run(Seeds(1)), first, cancelling, [EnergyDistance()])


def test_few_effective_events_are_a_warning() -> None:
    first, second = samples()
    heavy = Events(second.x, np.where(np.arange(second.n) < 1, 1000.0, 1.0))
    (found,) = permutation_test(Run(Seeds(1)), first, heavy, [EnergyDistance()], permutations=9)
    assert any("worth 1.1 unweighted events" in text for text in found.warnings)
    assert "generated sample leave 1.14 effective events, and the null needs 30" in found.refusal


def test_a_constant_feature_is_left_out_and_named() -> None:
    first, second = samples()
    flat = [
        Events(np.column_stack([events.x, np.full(events.n, 3.0)]), names=("x0", "x1", "flat"))
        for events in (first, second)
    ]
    plain, without = (
        permutation_test(Run(Seeds(1)), pair[0], pair[1], [EnergyDistance()], permutations=9)[0]
        for pair in ((first, second), flat)
    )
    assert without.observed == plain.observed
    assert without.warnings == ("feature 'flat' has one value only and is left out",)
    only = [events.select(["flat"]) for events in flat]
    with pytest.raises(InputError, match="expected a feature that varies"):
        permutation_test(Run(Seeds(1)), only[0], only[1], [EnergyDistance()])


def test_identical_samples_are_alike_and_reported() -> None:
    first, _ = samples()
    found = permutation_test(Run(Seeds(1)), first, first, ALL, permutations=99)
    assert all(result.p_value.value > 0.95 for result in found)
    assert "60 of 60 events of the generated sample occur in the reference" in found[0].warnings[0]


def test_one_event_is_refused() -> None:
    first, second = samples()
    with pytest.raises(InputError, match="generated sample: got 1 event;"):
        permutation_test(Run(Seeds(1)), first, second.take([0]), [EnergyDistance()])


@pytest.mark.parametrize(
    ("statistics", "permutations", "stop_after"),
    [
        ([], 99, None),
        ([EnergyDistance(), EnergyDistance(most=50)], 99, None),
        ([EnergyDistance()], 0, None),
        ([EnergyDistance()], 99, 0),
    ],
)
def test_impossible_settings_are_refused(
    statistics: list[EnergyDistance], permutations: int, stop_after: int | None
) -> None:
    with pytest.raises(InputError, match="statistics|permutations"):
        permutation_test(
            Run(Seeds(1)),
            *samples(),
            statistics,
            permutations=permutations,
            stop_after=stop_after,
        )


def test_normal_scores_do_not_see_the_units() -> None:
    first, second = samples()
    curved = [Events(np.exp(events.x)) for events in (first, second)]
    plain, mapped = (
        permutation_test(
            Run(Seeds(1)),
            pair[0],
            pair[1],
            [EnergyDistance()],
            permutations=9,
            coordinates=NormalScores(),
        )[0]
        for pair in ((first, second), curved)
    )
    assert mapped.observed == plain.observed
    assert mapped.coordinates == "normal scores"


def test_standardised_coordinates_do_not_see_the_scale_even_if_huge() -> None:
    first, second = samples()
    scaled = [Events(events.x * [1e-300, 1e300]) for events in (first, second)]
    plain, other = (
        permutation_test(Run(Seeds(1)), pair[0], pair[1], [EnergyDistance()], permutations=9)[0]
        for pair in ((first, second), scaled)
    )
    assert other.observed == pytest.approx(plain.observed, rel=1e-12)


def test_a_result_survives_the_disk(tmp_path: Path) -> None:
    first, second = samples()
    for found in permutation_test(Run(Seeds(1)), first, second, ALL, permutations=300):
        back = load(save(found, tmp_path / "two-sample"))
        assert isinstance(back, TwoSample)
        assert isinstance(back.p_value, PValue)
        assert repr(back) == repr(found)
        assert back.details == found.details
        np.testing.assert_array_equal(back.null, found.null)


def test_the_repr_says_what_matters() -> None:
    first, second = samples(shift=2.0)
    (found,) = permutation_test(Run(Seeds(1)), first, second, [MarginalKS("max")])
    assert repr(found).startswith("TwoSample(max ks=0.")
    assert repr(found).endswith("p=0.001, 60 against 70 events)")
    assert found.z.value == pytest.approx(3.09, abs=0.01)


def test_one_statistic_is_sent_to_two_sample() -> None:
    with pytest.raises(InputError, match="got one EnergyDistance; .* two_sample takes one"):
        permutation_test(Run(Seeds(1)), *samples(), EnergyDistance())  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"statistic: got 'energy'; .* EnergyDistance\(\)"):
        permutation_test(Run(Seeds(1)), *samples(), ["energy"])  # type: ignore[list-item]
