"""The whole diagnosis: answers, repetition, refusals, and what a shared half would do."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.neighbors import KNeighborsClassifier

from verisimile.checks.classifier.diagnosis import ClassifierDiagnosis, diagnose_with_classifier
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import from_dict, to_dict
from verisimile.core.run import Run
from verisimile.core.store import MemoryStore
from verisimile.data.events import Events
from verisimile.data.example import load_example
from verisimile.samples.learners import boosted_trees, perceptron

NAMES = ("m", "pt")
SMALL = boosted_trees(iterations=30)


def _events(n: int, rng: np.random.Generator, shift: float = 0.0) -> Events:
    return Events(rng.normal(size=(n, 2)) + [shift, 0.0], names=NAMES)


@pytest.fixture(scope="module")
def shifted() -> ClassifierDiagnosis:
    rng = np.random.default_rng(7)
    truth, generated = _events(1500, rng), _events(2000, rng, 0.7)
    return diagnose_with_classifier(Run(Seeds(1)), truth, generated, learner=SMALL)


def test_a_shift_is_found_and_named(shifted: ClassifierDiagnosis) -> None:
    # The best area is Phi(0.7 / sqrt 2) = 0.690.
    assert 0.65 < shifted.auc.value < 0.69 + 5 * shifted.auc.error
    assert shifted.p_value.value == pytest.approx(1 / 1001)
    assert [tail.ranges[0].feature for tail in shifted.tails] == ["m", "m"]
    assert shifted.closure[0].after < 0.3 * shifted.closure[0].before
    assert shifted.warnings == ()


def test_weights_are_the_density_ratio(shifted: ClassifierDiagnosis) -> None:
    # E_g[w] = 1 and E_t[log w] = KL(t, g) = 0.7^2 / 2, whatever the sizes of the samples.
    assert np.exp(shifted.generated_log_weights).mean() == pytest.approx(1.0, abs=0.1)
    assert shifted.truth_log_weights.mean() == pytest.approx(0.245, abs=0.08)
    assert shifted.truth_log_weights.shape == (1500,)
    assert 0.4 < shifted.effective_fraction < 0.85


def test_result_survives_json(shifted: ClassifierDiagnosis) -> None:
    again = from_dict(to_dict(shifted))
    assert isinstance(again, ClassifierDiagnosis)
    assert again.tails == shifted.tails
    assert again.p_value == shifted.p_value
    assert repr(again) == repr(shifted)


def test_repeats_bit_for_bit_and_from_the_store(rng: np.random.Generator) -> None:
    truth, generated = _events(200, rng), _events(200, rng)
    store = MemoryStore()
    first, cached, fresh = (
        diagnose_with_classifier(Run(Seeds(3), store=s), truth, generated, learner=SMALL, refits=3)
        for s in (store, store, None)
    )
    assert to_dict(first) == to_dict(cached) == to_dict(fresh)
    assert len(store.addresses("classifier")) == 1 + 5 + 3


def test_refits_give_a_p_value(rng: np.random.Generator) -> None:
    found = diagnose_with_classifier(
        Run(Seeds(5)), _events(80, rng), _events(80, rng, 2.0),
        learner=LogisticRegression(), folds=2, refits=19,
    )  # fmt: skip
    assert found.refit is not None
    assert found.refit.value == pytest.approx(0.05)
    assert found.refit.null == "permutations with refits"


def test_features_are_matched_by_name(rng: np.random.Generator) -> None:
    truth, generated = _events(300, rng), _events(300, rng)
    swapped = generated.select(NAMES[::-1])
    one, two = (
        diagnose_with_classifier(Run(Seeds(3)), truth, g, learner=SMALL)
        for g in (generated, swapped)
    )
    assert to_dict(one) == to_dict(two)


@pytest.mark.parametrize(
    "learner", [perceptron(hidden=(8,)), LogisticRegression()], ids=["perceptron", "linear"]
)
def test_other_learners_with_weights(learner: object, rng: np.random.Generator) -> None:
    # Weights that turn the shifted sample into the other: nothing is left to find.
    truth, generated = _events(3000, rng), _events(3000, rng, 0.5)
    weights = np.exp(-0.5 * generated.column("m") + 0.125)
    mended = Events(generated.x, weights, names=NAMES)
    plain, weighted = (
        diagnose_with_classifier(Run(Seeds(3)), truth, g, learner=learner)
        for g in (generated, mended)
    )
    assert plain.p_value.value < 0.01
    assert abs(weighted.auc.value - 0.5) < 5 * weighted.auc.error
    assert plain.auc.value > 0.6


@pytest.mark.calibration
def test_a_perceptron_names_what_is_wrong_with_real_events() -> None:
    # The other tune has a softer pt_ll, and nothing else.
    example = load_example()
    truth, tune = example["truth"].take(range(10_000)), example["generator_tune"]
    found = diagnose_with_classifier(Run(Seeds(3)), truth, tune, learner=perceptron())
    assert found.p_value.value < 0.01
    assert [tail.ranges[0].feature for tail in found.tails] == ["pt_ll", "pt_ll"]
    worst = max(found.closure, key=lambda one: one.before)
    assert worst.feature == "pt_ll"
    # By more than a chi-squared of its degrees of freedom fluctuates; about half is mended.
    assert worst.after < worst.before - 5 * np.sqrt(2 * worst.dof)
    assert found.warnings == ()


def test_a_training_that_did_not_converge_is_a_warning(rng: np.random.Generator) -> None:
    # Warnings are errors here: scikit-learn's own must not get out.
    truth, generated, run = _events(200, rng), _events(200, rng), Run(Seeds(3))
    short, long = (
        diagnose_with_classifier(run, truth, generated, learner=perceptron(epochs=epochs))
        for epochs in (2, 200)
    )
    assert short.warnings[0].startswith("6 of 6 trainings of the classifier did not converge")
    assert long.warnings == ()


def test_other_warnings_of_a_learner_are_not_swallowed(rng: np.random.Generator) -> None:
    class Talkative(LogisticRegression):  # type: ignore[misc]  # sklearn has no types
        def fit(self, x: Array, y: Array, sample_weight: Array | None = None) -> Talkative:
            warnings.warn("look out", UserWarning, stacklevel=2)
            super().fit(x, y, sample_weight)
            return self

    with pytest.warns(UserWarning, match="look out"):
        diagnose_with_classifier(
            Run(Seeds(3)), _events(100, rng), _events(100, rng), learner=Talkative()
        )


@pytest.mark.parametrize("learner", [SMALL, perceptron(hidden=(8,))], ids=["trees", "perceptron"])
@pytest.mark.parametrize("side", ["truth", "generated"])
def test_weights_on_one_side_mend_a_shift(
    learner: object, side: str, rng: np.random.Generator
) -> None:
    # The weighted sample is shifted, and its weights turn it into the other.
    plain, shifted = _events(2000, rng), _events(3000, rng, 0.5)
    mended = Events(shifted.x, np.exp(-0.5 * shifted.column("m") + 0.125), names=NAMES)
    pair = (mended, plain) if side == "truth" else (plain, mended)
    found = diagnose_with_classifier(Run(Seeds(3)), *pair, learner=learner)
    assert found.warnings == ()
    assert abs(found.auc.value - 0.5) < 5 * found.auc.error
    assert found.p_value.value > 1e-3
    assert np.isfinite(found.truth_log_weights).all()
    assert np.isfinite(found.generated_log_weights).all()
    assert found.effective_fraction > 0.8


def test_certain_scores_are_a_warning(rng: np.random.Generator) -> None:
    found = diagnose_with_classifier(
        Run(Seeds(3)), _events(100, rng), _events(100, rng), learner=KNeighborsClassifier(2)
    )
    assert "no finite weight" in found.warnings[0]
    assert np.isfinite(found.closure[0].after)


def test_shared_events_are_a_warning(rng: np.random.Generator) -> None:
    truth = _events(100, rng)
    found = diagnose_with_classifier(Run(Seeds(3)), truth, truth.take(range(60)), learner=SMALL)
    assert "60 generated events are copies" in found.warnings[0]


def test_refusals(rng: np.random.Generator) -> None:
    truth = _events(100, rng)
    weighted = Events(truth.x, np.full(100, 2.0), names=NAMES)
    run = Run(Seeds(1))
    doubled = Events(truth.x, names=NAMES, group=np.arange(100) // 3)
    with pytest.raises(InputError, match="got 34 groups; expected 40 groups or more"):
        diagnose_with_classifier(run, truth, doubled)
    varied = Events(truth.x, np.linspace(1.0, 2.0, 100), names=NAMES)
    with pytest.raises(InputError, match="refits: got 3 with weighted events"):
        diagnose_with_classifier(run, truth, varied, refits=3)
    with pytest.raises(InputError, match="40 events or more"):
        diagnose_with_classifier(run, truth, truth.take([1]))
    with pytest.raises(InputError, match="Perceptron without predict_proba"):
        diagnose_with_classifier(run, truth, truth, learner=Perceptron())
    with pytest.raises(InputError, match="takes no sample_weight"):
        diagnose_with_classifier(run, truth, weighted, learner=KNeighborsClassifier())
    with pytest.raises(InputError, match="folds"):
        diagnose_with_classifier(run, truth, truth, folds=1)
    with pytest.raises(InputError, match="permutations"):
        diagnose_with_classifier(run, truth, truth, permutations=0)
    with pytest.raises(InputError, match="refits"):
        diagnose_with_classifier(run, truth, truth, refits=-1)
    with pytest.raises(InputError, match="tail"):
        diagnose_with_classifier(run, truth, truth, tail=0.7)
