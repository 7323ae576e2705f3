"""One call finds what is wrong with a sample, where, and what could not be looked at."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from surrogates import DEFECTS, REGIONS, memoriser, signed, truths
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import from_dict, to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.density.adapters import adapt
from verisimile.report.sections.validation_verdict import judge_validation
from verisimile.report.verdict import Verdict, overall
from verisimile.validation.result import Validation
from verisimile.validation.study import Battery, Samples, Study, Threshold
from verisimile.validation.validate import validate

N = 10_000
FAST = ("energy", "max-ks", "interval-scan", "classifier")
QUICK = Study(battery=Battery(tests=FAST, permutations=199, sensitivity=False, support=False))


def _verdict(found: Validation, level: float = 0.05) -> Verdict:
    return overall(judge_validation(found, level, name="generated"))


def test_independent_truth_passes() -> None:
    found = validate(Run(Seeds(1)), *truths(N, 2), study=QUICK)
    assert _verdict(found) is Verdict.PASSED
    assert [test.name for test in found.tests] == list(FAST)
    assert found.warnings == ()


@pytest.mark.parametrize("name", sorted(DEFECTS))
def test_each_defect_is_found_where_it_is(name: str) -> None:
    ours, theirs = truths(N, 2, seed=2)
    generated = DEFECTS[name](theirs, np.random.default_rng(3))
    found = validate(Run(Seeds(1)), ours, generated, study=QUICK)
    assert _verdict(found) is Verdict.FAILED
    feature, low, high = REGIONS[name]
    assert found.windows is not None
    first = found.windows.windows[0]
    assert first.feature == feature
    assert low <= first.low < first.high <= high + 1e-6
    assert first.p_value is not None
    assert first.p_value.value <= 0.05
    together = judge_validation(found, 0.05, name="x")[0]
    assert feature in together.sentence


def test_a_perceptron_may_take_the_place_of_trees() -> None:
    ours, theirs = truths(1500, 2)
    battery = Battery(
        tests=("classifier",), learner="perceptron", permutations=99, support=False, physics=False
    )
    shifted = Events(theirs.x + [3.0, 0.0, 0.0, 0.0], names=theirs.names)
    bare = Events(ours.x, names=ours.names)
    found = validate(Run(Seeds(1)), bare, shifted, study=Study(battery=battery))
    assert found.classifier is not None
    assert found.classifier.learner.endswith("MLPClassifier")
    assert _verdict(found) is Verdict.FAILED


def test_signed_weights_are_taken_by_every_test() -> None:
    # One draw of a test that fails one in twenty, and chosen among draws.  The rate of failures
    # is measured in tests/calibration/test_validation_size.py.
    ours, theirs = truths(N, 2, seed=15)
    weighted = signed(theirs, np.random.default_rng(5))
    every = Study(battery=Battery(permutations=99, sensitivity=False))
    found = validate(Run(Seeds(1)), ours, weighted, study=every)
    assert all(test.p_value is not None for test in found.tests)
    outcomes = [test.outcome for test in found.tests if test.outcome is not None]
    assert {outcome.p_value.null for outcome in outcomes} == {"multipliers"}
    assert [outcome.form for outcome in outcomes if outcome.form] == ["score of the logistic loss"]
    assert _verdict(found) is Verdict.PASSED
    assert found.support is None
    assert any("support metrics" in note for note in found.warnings)


def test_a_required_test_that_cannot_be_made_is_inconclusive() -> None:
    ours, theirs = truths(1000, 2)
    battery = Battery(
        tests=("max-ks", "classifier"), required=("classifier",), permutations=19,
        sensitivity=False, physics=False, support=False,
    )  # fmt: skip
    found = validate(Run(Seeds(1)), ours, theirs.take(range(30)), study=Study(battery=battery))
    assert _verdict(found) is Verdict.INCONCLUSIVE
    together = judge_validation(found, 0.05, name="x")[0]
    assert (together.verdict, together.outcome) == (Verdict.INCONCLUSIVE, "inconclusive")
    assert "required, but not made: classifier" in together.sentence


def test_weights_worth_few_events_make_no_verdict() -> None:
    ours, theirs = truths(500, 2, seed=6)
    heavy = Events(theirs.x, np.where(np.arange(500) < 20, 1.0, 1e-4), names=theirs.names)
    battery = Battery(
        tests=("energy", "max-ks"), permutations=99, sensitivity=False, physics=False, support=False
    )
    found = validate(Run(Seeds(1)), ours, heavy, study=Study(battery=battery))
    assert found.p_value is None
    assert all(test.p_value is None for test in found.tests)
    together = judge_validation(found, 0.05, name="x")[0]
    assert together.verdict is Verdict.INCONCLUSIVE
    assert "20.1 effective events, and the null needs 30" in together.sentence
    # The user may know better; the numbers are then those of relabelings.
    declared = Study(battery=battery.model_copy(update={"exchangeable_weights": True}))
    again = validate(Run(Seeds(1)), ours, heavy, study=declared)
    assert all(test.p_value is not None for test in again.tests)
    assert again.tests[0].outcome is not None
    assert again.tests[0].outcome.p_value.null == "relabelings"


def test_memorised_events_are_told() -> None:
    train, ours = truths(N, 2, seed=6)
    generated = memoriser(train, N, np.random.default_rng(7))
    found = validate(Run(Seeds(1)), ours, generated, train=train, study=QUICK)
    (shared,) = found.overlaps
    assert (shared.first, shared.second, shared.shared) == ("train", "generated", N)
    assert any("it was trained on" in note for note in found.warnings)
    assert found.metrics["overlap/train-generated"].value == 1.0


def test_leaked_reference_events_are_told() -> None:
    train, ours, theirs = truths(2000, 3, seed=8)
    leaked = Events(np.vstack([ours.x, train.x[:500]]), features=ours.features)
    found = validate(Run(Seeds(1)), leaked, theirs, train=train, study=QUICK)
    assert any("500 of 2500" in note and "not independent" in note for note in found.warnings)


BARE = Study(
    battery=Battery(
        tests=("energy", "max-ks"),
        permutations=199,
        sensitivity=False,
        support=False,
        physics=False,
    )
)


@pytest.mark.parametrize(
    ("kind", "copy"),
    [
        ("exact", lambda x, rng: x[rng.permutation(len(x))]),
        ("float32", lambda x, rng: x.astype(np.float32)),  # noqa: ARG005
        ("near", lambda x, rng: x + 1e-4 * rng.normal(size=x.shape)),
        ("columns", lambda x, rng: x[:, [1, 2, 0]]),  # noqa: ARG005
        ("columns", lambda x, rng: x[:, [1, 2, 0]] + 1e-4 * rng.normal(size=x.shape)),
    ],
    ids=["exact", "float32", "near", "columns", "near columns"],
)
def test_copies_of_the_reference_are_named_and_never_pass(
    kind: str, copy: Callable[[Array, np.random.Generator], Array], rng: np.random.Generator
) -> None:
    x = rng.normal(size=(600, 3))
    found = validate(Run(Seeds(1)), Events(x), Events(copy(x, rng)), study=BARE)
    assert [each.kind for each in found.overlaps] == [kind]
    (shared,) = found.overlaps
    assert (shared.first, shared.second) == ("reference", "generated")
    assert shared.shared > 590
    assert found.warnings[0] == shared.warning
    assert found.metrics["overlap/reference-generated"].value > 0.98
    assert _verdict(found) is Verdict.INCONCLUSIVE
    assert "are copies of reference events" in judge_validation(found, 0.05, name="x")[0].sentence
    # What the bit-by-bit comparison sees, and what the tests say: nothing.
    assert (Events(x).overlap(Events(copy(x, rng))) > 0) == (kind == "exact")
    assert found.p_value is not None
    assert found.p_value.value > 0.05


def test_samples_that_are_too_alike_never_pass(rng: np.random.Generator) -> None:
    # In one dimension copies that were moved by more than the distance of neighbours are no near
    # copies, but all distances between the samples are small.
    x = rng.normal(size=(2000, 1))
    moved = Events(x + 0.005 * rng.normal(size=x.shape))
    found = validate(Run(Seeds(1)), Events(x), moved, study=BARE)
    assert found.overlaps == ()
    assert found.alike is not None
    assert found.alike.tail_p is not None
    assert found.alike.tail_p.value == 1 / 200
    assert _verdict(found) is Verdict.INCONCLUSIVE
    assert "more alike" in judge_validation(found, 0.05, name="x")[0].sentence
    # Without the lower tail the verdict would be that nothing was found.
    assert _verdict(replace(found, alike=None)) is Verdict.PASSED


def test_lattices_are_not_accused(rng: np.random.Generator) -> None:
    x, y = (2.0 * rng.normal(size=(2, 1500, 2))).round()
    study = BARE.model_copy(
        update={"battery": BARE.battery.model_copy(update={"tests": ("max-ks", "classifier")})}
    )
    found = validate(Run(Seeds(1)), Events(x), Events(y), study=study)
    assert found.overlaps == ()
    assert found.warnings == ()
    assert Events(x).overlap(Events(y)) > 1450
    assert _verdict(found) is Verdict.PASSED
    assert [each.distinct < 200 and not each.repeated for each in found.rows] == [True, True]


def test_repeated_rows_are_counted_and_warned_of(rng: np.random.Generator) -> None:
    ours = Events(rng.normal(size=(2000, 2)))
    again = Events(rng.normal(size=(100, 2))[rng.integers(100, size=2000)])
    found = validate(Run(Seeds(1)), ours, again, study=BARE)
    assert [(each.role, each.n, each.distinct, each.repeated) for each in found.rows] == [
        ("reference", 2000, 2000, False),
        ("generated", 2000, 100, True),
    ]
    assert any("have 100 different rows" in note and "group=" in note for note in found.warnings)


def test_repeated_rows_are_tested_as_groups_and_never_pass(rng: np.random.Generator) -> None:
    rejected = alone = 0
    for k in range(20):
        ours, few = Events(rng.normal(size=(300, 2))), rng.normal(size=(100, 2))
        again = Events(few[np.repeat(np.arange(100), 3)])
        found = validate(Run(Seeds(1).at(k)), ours, again, study=BARE)
        rejected += _verdict(found) is Verdict.FAILED
        assert _verdict(found) is not Verdict.PASSED
        # The twin: the same rows moved by so little that nobody can call them equal.
        moved = Events(again.x + 1e-3 * rng.normal(size=again.x.shape))
        alone += _verdict(validate(Run(Seeds(2).at(k)), ours, moved, study=BARE)) is Verdict.FAILED
    assert stats.binom.sf(rejected - 1, 20, 0.05) > 1e-3
    assert stats.binom.sf(alone - 1, 20, 0.05) < 1e-3
    # A real difference is found all the same.
    far = validate(Run(Seeds(1)), ours, Events(again.x + [1.0, 0.0]), study=BARE)
    assert _verdict(far) is Verdict.FAILED


def test_all_tests_together_are_inconclusive_below_the_limits_whatever_the_rest_says(
    rng: np.random.Generator,
) -> None:
    ours = Events(rng.normal(size=(300, 1)))
    signs = np.where(np.arange(60) % 3 == 0, -1.0, 1.0)
    far = Events(rng.normal(size=(60, 1)) + 5.0, signs)  # worth seven events
    study = BARE.model_copy(update={"constraints": {"c": "x0 < 2"}})
    found = validate(Run(Seeds(1)), ours, far, study=study)
    assert found.p_value is not None
    assert found.p_value.value < 0.05
    together, *single = judge_validation(found, 0.05, name="")
    assert together.verdict is Verdict.INCONCLUSIVE
    assert "effective events" in together.sentence
    # The law itself is violated, and says so by itself.
    assert [one.hypothesis for one in single if one.verdict is Verdict.FAILED] == ["constraint c"]


def test_nothing_compared_never_passes() -> None:
    ours, theirs = truths(1000, 2)
    study = Study(battery=Battery(tests=("classifier",), support=False, physics=False))
    found = validate(Run(Seeds(1)), ours, theirs.take(range(30)), study=study)
    assert found.p_value is None
    assert _verdict(found) is Verdict.INCONCLUSIVE
    assert judge_validation(found, 0.05, name="x")[0].sentence == "Nothing was compared."


def test_too_few_relabelings_are_inconclusive() -> None:
    study = Study(battery=Battery(tests=("max-ks",), permutations=19, sensitivity=False))
    found = validate(Run(Seeds(1)), *truths(1000, 2), study=study)
    assert _verdict(found, level=0.05) is Verdict.PASSED
    assert _verdict(found, level=0.04) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("bound", "verdict"),
    [
        (Threshold(max=0.9), Verdict.PASSED),
        (Threshold(max=0.4), Verdict.FAILED),
        (Threshold(min=0.9), Verdict.FAILED),
    ],
)
def test_thresholds(bound: Threshold, verdict: Verdict) -> None:
    study = QUICK.model_copy(update={"thresholds": {"auc": bound}})
    found = validate(Run(Seeds(1)), *truths(2000, 2), study=study)
    assert _verdict(found) is verdict


def test_a_threshold_on_nothing_is_inconclusive() -> None:
    study = QUICK.model_copy(update={"thresholds": {"aux": Threshold(max=1.0)}})
    found = validate(Run(Seeds(1)), *truths(2000, 2), study=study)
    assert _verdict(found) is Verdict.INCONCLUSIVE
    assert "auc" in judge_validation(found, 0.05, name="x")[-1].sentence


def test_observables_cuts_and_conditions(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text("def double_mass(m_ll):\n    return 2 * m_ll\n", encoding="utf-8")
    ours, theirs = truths(4000, 2)
    study = Study(
        samples=Samples(features=("pt_ll",), cut="m_ll > 80"),
        observables={"log_pt": "log(pt_ll)"},
        functions=str(own),
        selections={"peak": "abs(m_ll - 91.2) < 5"},
        constraints={"range": "m_ll > 85", "doubled": "double_mass > 160"},
        battery=Battery(tests=("max-ks",), permutations=99, sensitivity=False),
    )
    found = validate(Run(Seeds(1)), ours, theirs, study=study)
    assert found.physics is not None
    names = [pair.feature.name for pair in found.physics.marginals]
    assert names == ["pt_ll", "log_pt", "double_mass"]
    assert found.n_reference == int((ours.column("m_ll") > 80.0).sum())
    assert [test.name for test in found.tests] == [
        "max-ks",
        "selection peak",
        "constraint range",
        "constraint doubled",
    ]
    assert found.metrics["violated/doubled"].value == 0.0
    assert found.metrics["violated/range"].value > 0.0
    assert any("the cut leaves" in note for note in found.warnings)


@pytest.mark.parametrize(("scale", "verdict"), [(1.0, Verdict.PASSED), (0.9, Verdict.FAILED)])
def test_a_known_density_is_another_witness(scale: float, verdict: Verdict) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(1500, 2))
    study = Study(battery=Battery(tests=("energy",), sensitivity=False, support=False))
    density = adapt(stats.multivariate_normal(np.zeros(2)))
    found = validate(
        Run(Seeds(1)), Events(x[:500]), Events(scale * x[500:]), study=study, density=density
    )
    assert [test.name for test in found.tests] == ["energy", "likelihood", "ranks"]
    assert found.likelihood is not None
    assert _verdict(found) is verdict
    if verdict is Verdict.FAILED:  # too narrow is too likely
        assert found.likelihood.mean_log_prob > found.likelihood.null_mean
        assert found.tests[1].adjusted <= 0.05


def test_results_survive_a_round_trip() -> None:
    found = validate(Run(Seeds(1)), *truths(2000, 2), study=QUICK)
    text = json.dumps(to_dict(found), allow_nan=False)
    again = from_dict(json.loads(text))
    assert isinstance(again, Validation)
    assert judge_validation(again, 0.05, name="x") == judge_validation(found, 0.05, name="x")
    # No per-event arrays: a report of a million events must stay small.
    assert len(text) < 600_000


def test_same_numbers_for_any_executor() -> None:
    ours, theirs = truths(2000, 2)
    tests = ("energy", "max-ks", "classifier")
    study = Study(battery=Battery(tests=tests, permutations=99, support=False))
    first, second = (
        validate(Run(Seeds(1), executor=executor), ours, theirs, study=study)
        for executor in ("serial", "loky:2")
    )
    for one, other in zip(first.tests, second.tests, strict=True):
        assert one.p_value == other.p_value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e.take([0]), "got 1 event"),
        (lambda e: Events(e.x * [1000.0, 1, 1, 1], names=e.names), "MeV and GeV"),
        (lambda e: e.select(e.names[:3]), "cos_theta_cs"),
    ],
)
def test_bad_samples_are_refused(change: object, message: str) -> None:
    ours, theirs = truths(1000, 2)
    assert callable(change)
    with pytest.raises(InputError, match=message):
        validate(Run(Seeds(1)), ours, change(theirs), study=QUICK)


def test_an_empty_cut_is_refused() -> None:
    study = Study(samples=Samples(cut="m_ll > 500"))
    with pytest.raises(InputError, match="none of 1000 events"):
        validate(Run(Seeds(1)), *truths(1000, 2), study=study)


def test_an_equal_column_is_left_out_with_a_warning() -> None:
    ours, theirs = (
        Events(np.column_stack([e.x, np.ones(e.n)]), names=(*e.names, "flag"))
        for e in truths(2000, 2)
    )
    found = validate(Run(Seeds(1)), ours, theirs, study=QUICK)
    assert any("'flag' has one value only" in note for note in found.warnings)
    assert _verdict(found) is Verdict.PASSED


def test_exchanged_columns_fail_with_a_warning() -> None:
    ours, theirs = (e.select(["m_ll", "pt_ll"]) for e in truths(2000, 2))
    bare = Events(ours.x, names=ours.names)
    exchanged = Events(theirs.x[:, ::-1], names=ours.names)
    found = validate(Run(Seeds(1)), bare, exchanged, study=QUICK)
    assert any("look exchanged" in note for note in found.warnings)
    assert _verdict(found) is Verdict.FAILED
