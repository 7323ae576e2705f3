from __future__ import annotations

import numpy as np
import pytest

import verisimile as vs
from ratio_pairs import GaussianPair
from verisimile.core.errors import IncompleteError, InputError, SupportError
from verisimile.core.result import load, save
from verisimile.repair.reweight import Method, Reweighting

PAIR = GaussianPair(2)
FAST = vs.Discrepancy(scale=0.03, draws=50)


def pair(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return PAIR.reference(n, rng), PAIR.generated(n, rng)


def learnt(method: Method = "tilt", n: int = 1500, seed: int = 1, refits: int = 2) -> Reweighting:
    reference, generated = pair(n, seed)
    return vs.reweight(
        vs.Run(vs.Seeds(1)),
        reference,
        generated,
        method=method,
        permutations=99,
        settings=FAST,
        folds=2,
        refits=refits,
    )


@pytest.fixture(scope="module")
def tilt() -> Reweighting:
    return learnt()


def test_weights_have_mean_one_and_repair_what_was_wrong(tilt: Reweighting) -> None:
    reference, generated = pair(1500, 1)
    weights = tilt.weights(generated)
    assert weights.mean() == pytest.approx(1.0, abs=0.02)
    moved = weights @ generated[:, 0] / weights.sum()
    assert abs(moved - reference[:, 0].mean()) < 0.1 < abs(reference[:, 0].mean())
    assert min(each.p_value.value for each in tilt.before) == 0.01
    assert tilt.p_value.value > 0.05
    assert 0.5 < tilt.effective_size / tilt.n_weighted < 1.0


def test_errors_are_of_the_size_of_what_is_wrong(tilt: Reweighting) -> None:
    _, fresh = pair(3000, 7)
    weights = tilt.weights(fresh)
    pulls = (np.log(weights) - PAIR.log_ratio(fresh)) / (tilt.errors(fresh) / weights)
    assert 0.4 < np.sqrt((pulls**2).mean()) < 2.0


def test_refits_scale_the_errors_and_leave_the_weights(tilt: Reweighting) -> None:
    bare = learnt(refits=0)
    _, fresh = pair(200, 7)
    assert (bare.factor, 0.5 < tilt.factor < 2.0) == (1.0, True)
    np.testing.assert_allclose(bare.weights(fresh), tilt.weights(fresh))
    np.testing.assert_allclose(tilt.factor * bare.errors(fresh), tilt.errors(fresh))


def test_variations_hold_the_errors(tilt: Reweighting) -> None:
    _, fresh = pair(500, 8)
    whole = np.sqrt((tilt.variations(fresh) ** 2).sum(axis=1)) * tilt.weights(fresh)
    assert whole == pytest.approx(tilt.errors(fresh), rel=0.15)


def test_templates_hold_the_covariance_of_the_weights(tilt: Reweighting) -> None:
    _, fresh = pair(2000, 9)
    edges = np.array([-9.0, -1.0, 0.0, 1.0, 9.0])
    made = tilt.templates(fresh, {"x0": edges}, events=500.0)
    weights = tilt.weights(fresh)
    inside = np.histogram(fresh[:, 0], edges, weights=weights)[0] * 500.0 / weights.sum()
    assert made.nominal == pytest.approx(inside)
    share = weights[:, None] * tilt.variations(fresh) * 500.0 / weights.sum()
    cells = np.digitize(fresh[:, 0], edges[1:-1])
    changed = np.array([share[cells == k].sum(axis=0) for k in range(4)])
    assert made.variations.T @ made.variations == pytest.approx(changed @ changed.T, rel=1e-6)


def test_unweighted_events_are_of_the_reference(tilt: Reweighting) -> None:
    reference, generated = pair(6000, 10)
    rows = tilt.unweighted(generated, vs.Seeds(3))
    assert np.unique(rows).size == rows.size
    assert abs(generated[rows, 0].mean() - reference[:, 0].mean()) < 0.1


@pytest.mark.parametrize("method", ["classifier", "both"])
def test_classifiers_are_calibrated_by_the_same_fit(method: Method) -> None:
    found = learnt(method, n=2000)
    _, fresh = pair(2000, 11)
    weights = found.weights(fresh)
    truth = PAIR.log_ratio(fresh)
    assert np.corrcoef(np.log(weights), truth)[0, 1] > 0.8


def test_where_the_generator_has_nothing_weights_are_refused() -> None:
    reference, generated = pair(2000, 12)
    cut = generated[generated[:, 0] < 1.0]
    found = vs.reweight(vs.Run(vs.Seeds(1)), reference, cut, permutations=99, settings=FAST)
    assert found.gaps[0].feature == "x0"
    inside = found.inside(reference)
    assert np.isfinite(found.weights(reference[inside])).all()
    with pytest.raises(SupportError, match=r"x0 above 0\.99"):
        found.weights(reference)


def test_a_result_that_was_read_gives_the_same_weights(tilt: Reweighting, tmp_path: object) -> None:
    _, fresh = pair(100, 13)
    again = load(save(tilt, f"{tmp_path}/w"))
    assert isinstance(again, Reweighting)
    assert (again.weights(fresh) == tilt.weights(fresh)).all()


def test_a_result_with_classifiers_says_that_they_were_not_written(tmp_path: object) -> None:
    again = load(save(learnt("classifier", n=600), f"{tmp_path}/w"))
    assert isinstance(again, Reweighting)
    with pytest.raises(IncompleteError, match="without its classifiers"):
        again.weights(pair(10, 1)[1])


def test_bad_input_is_refused_before_any_work() -> None:
    reference, generated = pair(300, 14)
    run = vs.Run(vs.Seeds(1))
    with pytest.raises(InputError, match="method"):
        vs.reweight(run, reference, generated, method="flow")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="negative weights"):
        vs.reweight(run, vs.Events(reference, weights=np.r_[-1.0, np.ones(299)]), generated)
    with pytest.raises(InputError, match="in the smaller part"):
        vs.reweight(run, reference[:100], generated)
    with pytest.raises(InputError, match="looks"):
        vs.reweight(run, reference, generated, looks=0)
