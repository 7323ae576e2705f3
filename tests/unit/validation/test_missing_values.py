"""Rows that were dropped are compared between the samples, and left-out columns are told."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from statistical import assert_rate
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.files import read_events
from verisimile.report.document import document
from verisimile.report.write import gather
from verisimile.validation.battery import smallest_p_value
from verisimile.validation.missing import MISSING_VALUES, missing_values_test
from verisimile.validation.result import Validation
from verisimile.validation.samples import check_inputs, gathered_inputs
from verisimile.validation.study import Battery, Samples, Study
from verisimile.validation.validate import validate

N = 400


def sample(
    seed: int,
    gaps: int,
    *,
    weights: np.ndarray | None = None,
    group: np.ndarray | None = None,
) -> Events:
    x = np.random.default_rng(seed).normal(size=N)
    y = np.where(np.arange(N) < gaps, np.nan, x)
    columns: dict[str, object] = {"x": x, "y": y}
    columns |= {} if weights is None else {"w": weights}
    columns |= {} if group is None else {"event": group}
    return Events(
        columns,
        None if weights is None else "w",
        group=None if group is None else "event",
        missing="drop",
    )


def test_rows_without_weights_have_fishers_p() -> None:
    found = missing_values_test((sample(1, 5), sample(2, 30)))
    assert found is not None
    exact = stats.fisher_exact([[5, N - 5], [30, N - 30]]).pvalue
    assert found.value == pytest.approx(exact, rel=1e-12)
    assert found.null == "Fisher's exact test"


def test_nothing_dropped_is_no_test() -> None:
    assert missing_values_test((sample(1, 0), sample(2, 0))) is None
    array = Events(np.zeros((10, 1)))
    assert missing_values_test((array, array)) is None


def test_weighted_rows_are_compared_by_their_weights() -> None:
    # A fourth of the rows of half the weight is the same fraction as a seventh of equal rows.
    light = np.where(np.arange(N) < 100, 0.5, 1.0)
    alike = missing_values_test((sample(1, 57), sample(2, 100, weights=light)))
    assert alike is not None
    assert alike.value > 0.9
    plain = missing_values_test((sample(1, 57), sample(2, 100)))
    assert plain is not None
    assert plain.value < 1e-3
    heavy = missing_values_test((sample(1, 100), sample(2, 100, weights=light)))
    assert heavy is not None
    assert heavy.value < 1e-3


def test_a_row_without_its_weight_has_that_of_the_others() -> None:
    weights = np.full(N, 2.0)
    weights[:40] = np.nan
    events = sample(1, 0, weights=weights)
    assert events.account is not None
    lost = events.account.lost
    assert lost is not None
    assert (int(lost.lost.sum()), events.n) == (40, N - 40)
    assert lost.weights is not None
    np.testing.assert_array_equal(lost.weights, np.full(N, 2.0))


def test_rows_of_one_group_are_lost_together() -> None:
    fours = np.arange(N) // 4
    found = missing_values_test((sample(1, 0, group=fours), sample(2, 40, group=fours)))
    assert found is not None
    exact = stats.fisher_exact([[0, N // 4], [10, N // 4 - 10]]).pvalue
    assert found.value == pytest.approx(exact, rel=1e-12)


def test_rows_that_a_cut_leaves_out_at_reading_do_not_count(tmp_path: Path) -> None:
    pair = []
    for seed, gaps in ((1, 5), (2, 30)):
        x = np.random.default_rng(seed).normal(size=N)
        # Twice as many gaps as rows that the cut leaves.
        kept = np.arange(N) % 2 == 0
        y = ["" if row < 2 * gaps else f"{value}" for row, value in enumerate(x)]
        file = tmp_path / f"{seed}.csv"
        rows = zip(y, kept.astype(int), np.arange(N) // 4, np.ones(N), strict=True)
        file.write_text("\n".join(["y,kept,event,w", *(",".join(map(str, row)) for row in rows)]))
        pair.append(read_events(file, features=["y"], weights="w", missing="drop", cut="kept == 1"))
        account = pair[-1].account
        assert account is not None
        assert (account.cut, account.dropped, pair[-1].n) == (N // 2, gaps, N // 2 - gaps)
        assert account.lost is not None
        assert len(account.lost.lost) == N // 2
    plain = [Events(each, np.ones(each.n)) for each in pair]
    assert missing_values_test(plain) == missing_values_test(pair)
    bare = [
        read_events(tmp_path / f"{seed}.csv", features=["y"], missing="drop", cut="kept == 1")
        for seed in (1, 2)
    ]
    found = missing_values_test(bare)
    assert found is not None
    exact = stats.fisher_exact([[5, N // 2 - 5], [30, N // 2 - 30]]).pvalue
    assert found.value == pytest.approx(exact, rel=1e-12)


def test_lost_rows_stay_known_when_samples_are_put_together() -> None:
    first, second, array = sample(1, 5), sample(2, 30), Events(np.ones((N, 2)), names=["x", "y"])
    alone = missing_values_test((first, array))
    assert alone is not None
    for same in (first.join({"z": np.ones(first.n)}), Events(first, features=["y"])):
        assert missing_values_test((same, array)) == alone
    below = Events.concatenate([first, array, second])
    found = missing_values_test((below, array))
    assert found is not None
    exact = stats.fisher_exact([[35, 3 * N - 35], [0, N]]).pvalue
    assert found.value == pytest.approx(exact, rel=1e-12)


def test_the_rate_of_false_alarms_is_that_of_the_level() -> None:
    rng, level, total = np.random.default_rng(1), 0.1, 300
    weights = rng.exponential(size=N)
    rejected = naive = 0
    for _ in range(total):
        pair = [
            Events(
                {"x": np.where(rng.uniform(size=N) < 0.2, np.nan, 1.0), "w": weights},
                "w",
                missing="drop",
            )
            for _ in range(2)
        ]
        found = missing_values_test(pair)
        assert found is not None
        rejected += found.value <= level
        naive += _of_sums(pair, weights) <= level
    assert_rate(rejected, total, level)
    # The twin takes sums of weights for numbers of rows.
    with pytest.raises(AssertionError):
        assert_rate(naive, total, level)


def _of_sums(pair: list[Events], weights: Array) -> float:
    """Return the p-value of two binomials with sums of weights in the place of counts."""
    total = weights.sum()
    lost = [total - each.weights.sum() for each in pair if each.weights is not None]
    rate = sum(lost) / (2.0 * total)
    z = (lost[0] - lost[1]) / math.sqrt(2.0 * total * rate * (1.0 - rate))
    return float(2.0 * stats.norm.sf(abs(z)))


QUICK = Battery(tests=("max-ks",), permutations=99, sensitivity=False, physics=False, support=False)


def validated(reference: Events, generated: Events, **samples: object) -> Validation:
    study = Study(battery=QUICK, samples=Samples.model_validate(samples))
    return validate(Run(Seeds(1)), reference, generated, study=study)


def test_the_test_is_one_of_the_battery() -> None:
    found = validated(sample(1, 0), sample(2, 60))
    assert [test.name for test in found.tests] == ["max-ks", MISSING_VALUES]
    assert found.tests[1].adjusted < 1e-12
    assert found.p_value is not None
    assert found.p_value.value < 1e-12
    assert "generated sample: 60 of 400 rows dropped for missing values (y 60)" in found.warnings


def frame(seed: int, **more: object) -> Events:
    x = np.random.default_rng(seed).normal(size=N)
    return Events(pa.table({"x": x, "mag": [f"{value:.4f}" for value in x], **more}))


def verdict(found: Validation) -> str:
    return document(Run(Seeds(1)), gather([found])).verdict


def test_a_left_out_column_of_numbers_lets_nothing_pass() -> None:
    found = validated(frame(1), frame(2))
    (doubt,) = found.doubts
    assert doubt.startswith("column 'mag' was left out of the reference and generated samples")
    assert "ignore=['mag'] (--ignore mag)" in doubt
    assert verdict(found) == "inconclusive"
    for said in ({"ignore": ("mag",)}, {"features": ("x",)}):
        accounted = validated(frame(1), frame(2), **said)
        assert accounted.doubts == ()
        assert verdict(accounted) == "passed"
    far = Events({"x": np.random.default_rng(3).normal(5.0, 1.0, N)})
    assert verdict(validated(frame(1), far)) == "failed"


def test_ignored_columns_are_not_compared() -> None:
    pair = (Events({"x": np.arange(N), "z": np.arange(N)}), Events({"x": np.arange(N)}))
    inputs = gathered_inputs(*pair, None, Study(samples=Samples(ignore=("z",))))
    assert inputs.reference.names == inputs.generated.names == ("x",)


def test_an_undefined_constraint_is_violated_and_an_undefined_selection_a_fault() -> None:
    pair = {"reference": sample(1, 0), "generated": sample(2, 0)}
    check_inputs(pair, Study(constraints={"c": "log(x) < 9"}))
    with pytest.raises(InputError, match="selection 's', reference sample: expression 'log"):
        check_inputs(pair, Study(selections={"s": "log(x) < 9"}))


def test_missing_rows_do_not_make_a_level_reachable() -> None:
    study = Study(battery=QUICK, level=1e-4)
    found = validate(Run(Seeds(1)), sample(1, 5), sample(2, 5), study=study)
    content = gather([found])
    said = document(Run(Seeds(1)), type(content)(validations=content.validations, level=1e-4))
    assert said.verdict == "inconclusive"
    assert "no p-value can be below 0.02" in said.conclusions[0].sentence
    assert smallest_p_value(QUICK, (N, N), weighted=False, further=1) == 0.02


def test_the_smallest_p_counts_tests_of_common_draws() -> None:
    whole = Battery(permutations=999)
    names = len(whole.tests)
    # Few events: all but the classifier have the same draws.
    assert smallest_p_value(whole, (100, 100), weighted=False) == names / (names - 1) / 1000
    # Sliced tests take 40 000 events, nplm 10 000: groups of their own.
    many = smallest_p_value(whole, (1e6, 1e6), weighted=False)
    assert many == names / (names - 4) / 1000
    assert smallest_p_value(whole, (1e6, 1e6), weighted=True) == names / (names - 1) / 1000
    assert smallest_p_value(whole, (2, 2), weighted=False) == names / (names - 1) / 6
