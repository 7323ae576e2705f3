from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import verisimile as vs
from verisimile.core.arrays import Array
from verisimile.core.result import from_dict, to_dict
from verisimile.ranking.defects import DEFECTS, Material, other_generator
from verisimile.ranking.laws import COUNTS, MIXTURE, ZMUMU, events_law, scales_of
from verisimile.ranking.metrics import Metric, ask
from verisimile.ranking.own import own_metrics
from verisimile.ranking.result import Arena, Found
from verisimile.ranking.scoring import calibrated_p
from verisimile.ranking.suite import Shown, Suite, presented

TINY = Suite(
    laws=(MIXTURE, COUNTS),
    defects=tuple(each for each in DEFECTS if each.name in ("shift", "memorised")),
    sizes=(40,),
    pairs=2,
    audits=6,
)


def run(**options: object) -> vs.Run:
    return vs.Run(vs.Seeds(11), **options)  # type: ignore[arg-type]


def means(reference: Array, generated: Array) -> float:
    """Return an honest score, whatever the order."""
    unit = reference.std(axis=0)
    return float(np.abs((reference.mean(axis=0) - generated.mean(axis=0)) / unit).max())


def permuted(reference: Array, generated: Array) -> float:
    """Return an exact p-value, of 39 relabelings."""
    rng = np.random.default_rng(3)
    pooled, n = np.concatenate([reference, generated])[:, 0], len(reference)
    draws = np.stack([pooled, *(rng.permutation(pooled) for _ in range(39))])
    found = np.abs(draws[:, :n].mean(axis=1) - draws[:, n:].mean(axis=1))
    return float((found >= found[0] * (1.0 - 1e-12)).mean())


def too_small(reference: Array, generated: Array) -> float:
    """Return the twin of that p-value: a quarter of it."""
    return 0.25 * permuted(reference, generated)


def always(reference: Array, generated: Array) -> float:
    """Return a small p-value, whatever the samples."""
    return 0.001


def first_rows(reference: Array, generated: Array) -> float:
    """Return a score of the first rows alone."""
    return means(reference[:8], generated[:8])


class Restless:
    """Another answer each time."""

    key = "restless"

    def __init__(self) -> None:
        self.rng = np.random.default_rng(5)

    def __call__(self, reference: Array, generated: Array) -> float:
        return means(reference, generated) + float(self.rng.random())


def broken(reference: Array, generated: Array) -> float:
    """Fail for some pairs, each in its way, and spoil what it was given."""
    first = float(reference[0, 0])
    reference[:], generated[:] = 0.0, 0.0
    if first > 2.0:
        raise ArithmeticError(f"at {id(reference)}")
    return math.nan if first < -1.0 else first


ENTERED = {
    "means": Metric("means", means, "score", "large"),
    "permuted": Metric("permuted", permuted, "p-value"),
    "too small": Metric("too small", too_small, "p-value"),
    "always": Metric("always", always, "p-value"),
    "first rows": Metric("first rows", first_rows, "score", "large"),
    "restless": Metric("restless", Restless()),
    "broken": Metric("broken", broken),
}


@pytest.fixture(scope="module")
def found() -> Arena:
    return vs.arena(run(), ENTERED, TINY)


def test_honest_metrics_are_not_accused(found: Arena) -> None:
    for name in ("means", "permuted"):
        assert found[name].honest
        assert found[name].marks == ()
        assert found[name].audit.again == 0
    assert found["means"].audit.shuffled == 0
    assert found["means"].found("shift", grade=2).share > found["means"].found("memorised").share


def test_an_exact_p_value_holds_its_size_and_its_twin_does_not(found: Arena) -> None:
    exact, twin = found["permuted"], found["too small"]
    assert exact.size is not None
    assert twin.size is not None
    assert exact.size.low <= 0.05 <= exact.size.high
    assert exact.held
    assert not exact.calibrated
    assert not twin.held
    assert twin.calibrated
    assert "does not hold its size" in twin.marks[0]
    # At its own null quantile it is the test that it was made of: never above it by the quarter.
    assert abs(twin.power.share - exact.power.share) < 0.15


def test_always_a_small_p_value_is_shown_as_such(found: Arena) -> None:
    always = found["always"]
    assert always.size is not None
    assert always.size.share == 1.0
    assert not always.honest
    assert always.power.hits == 0


def test_who_looks_at_the_order_is_told_from_who_is_not_deterministic(found: Arena) -> None:
    order, restless = found["first rows"], found["restless"]
    assert order.order
    assert "looks at the order of rows" in order.marks[0]
    assert order.audit.again == 0
    assert order.audit.shuffled == order.audit.pairs
    assert order.audit.moved > 0.5
    assert not restless.order
    assert restless.audit.again == restless.audit.pairs
    assert restless.marks[0].startswith("is not deterministic")


def test_errors_and_nan_are_counted_and_never_dropped(found: Arena) -> None:
    failures = found["broken"].failures
    assert set(failures) == {"ArithmeticError", "not a number"}
    assert min(failures.values()) > 0
    assert found["broken"].found().pairs == found["means"].found().pairs
    assert "gave no answer" in found["broken"].marks[-1]


def test_honest_metrics_come_first(found: Arena) -> None:
    honest = [one.honest for one in found.standings]
    assert honest == sorted(honest, reverse=True)
    powers = [one.power.share for one in found.standings if one.honest]
    assert powers == sorted(powers, reverse=True)


def test_two_runs_of_one_seed_are_byte_identical_whoever_works(tmp_path: Path) -> None:
    metrics = {name: ENTERED[name] for name in ("means", "permuted", "broken")}
    first = vs.arena(run(), metrics, TINY)
    second = vs.arena(run(executor="loky:2", store=tmp_path), metrics, TINY)
    text = json.dumps(to_dict(first))
    assert json.dumps(to_dict(second)) == text
    # What is kept is not asked again, and says the same; one metric alone has the same standing.
    again = vs.arena(run(store=tmp_path), {"means": ENTERED["means"]}, TINY)
    assert again["means"] == first["means"]
    assert json.dumps(to_dict(from_dict(json.loads(text)))) == text
    assert "seconds" not in text
    assert first.costs is not None
    assert set(first.costs.per_answer) == set(metrics)
    other = vs.arena(vs.Run(vs.Seeds(12)), {"means": ENTERED["means"]}, TINY)
    assert other["means"] != first["means"]


def test_pairs_are_hidden() -> None:
    seeds = vs.Seeds(3)
    order = presented(TINY, seeds, TINY.sizes)
    assert sorted(map(str, order)) == sorted(map(str, TINY.showings()))
    kinds = [one.defect >= 0 for one in order]
    assert 10 < np.flatnonzero(kinds).mean() < len(kinds) - 10
    for shown in (Shown(0, 40, 1), Shown(0, 40, 1, 0, 2)):
        reference, generated = TINY.made(shown, seeds)
        for sample in (reference, generated):
            assert np.array_equal(sample, sample.astype(np.float32))
            assert sample.shape == (40, 5)
    null, shifted = (TINY.made(Shown(0, 40, 1, *more), seeds)[0] for more in ((), (0, 2)))
    assert not np.isin(null[:, 0], shifted[:, 0]).any()


def test_views_show_the_same_pair_in_other_ways() -> None:
    seeds = vs.Seeds(4)
    shown = {
        view: TINY.made(Shown(1, 40, 2, view=view), seeds)
        for view in ("plain", "again", "shuffled", "swapped", "sorted", "itself")
    }
    reference, generated = shown["plain"]
    assert np.array_equal(shown["again"][1], generated)
    assert np.array_equal(shown["swapped"][0], generated)
    for view in ("shuffled", "sorted"):
        for before, after in zip((reference, generated), shown[view], strict=True):
            assert np.array_equal(np.sort(before, axis=0), np.sort(after, axis=0))
    assert not np.array_equal(shown["shuffled"][0], reference)
    assert shown["sorted"][1][:10].mean() < shown["sorted"][1][-10:].mean()
    assert np.array_equal(np.sort(shown["itself"][1], axis=0), np.sort(reference, axis=0))


@pytest.mark.parametrize("law", [MIXTURE, ZMUMU, COUNTS], ids=lambda law: law.name)
def test_defects_do_what_they_say(law: vs.ranking.Law) -> None:
    rng, k = np.random.default_rng(1), law.column
    x = law.draw(4 * 4000, rng)
    scales = scales_of(law)
    unit = scales.width[k]
    spoiled = {
        each.name: each.plant(Material(x[:4000], x[4000:], law, scales, rng), each.strengths[-1])
        for each in DEFECTS
        if not each.laws or law.name in each.laws
    }
    perfect = x[4000:8000]
    edge = scales.quantile(k, 0.9)
    assert np.allclose(spoiled["shift"][:, k] - perfect[:, k], 0.4 * unit)
    assert np.ptp(spoiled["width"][:, k]) > 1.5 * np.ptp(perfect[:, k])
    assert np.array_equal(np.sort(spoiled["dependence"], axis=0), np.sort(perfect, axis=0))
    assert (spoiled["tail lost"][:, k] <= edge).all()
    assert spoiled["tail heavier"][:, k].max() > perfect[:, k].max()
    assert 0.17 < (spoiled["bump"] != perfect)[:, k].mean() < 0.23
    assert spoiled["missing mode"].shape == perfect.shape
    assert (spoiled["smearing"] != perfect)[:, k].all()
    assert len(np.unique(spoiled["repeated"], axis=0)) <= 400
    assert np.isin(spoiled["memorised"][:, k], x[:4000, k]).all()
    steps = spoiled["rounding"][:, k] / unit
    assert np.allclose(steps, np.round(steps))


def test_calibrated_p_values() -> None:
    null = np.arange(39.0)
    assert calibrated_p(40.0, null, "large") == 1.0 / 40.0
    assert calibrated_p(40.0, null, "either") == 0.05
    assert calibrated_p(-1.0, null, "small") == 1.0 / 40.0
    assert calibrated_p(37.0, null, "large") == 3.0 / 40.0
    null[3] = math.nan
    assert calibrated_p(40.0, null, "large") == 2.0 / 40.0


def test_real_events_are_one_more_null() -> None:
    rng = np.random.default_rng(2)
    events, other = (vs.Events(rng.normal(k, 1.0, (400, 2)), names=("m", "pt")) for k in (0, 2))
    law = events_law("mine", events, column="pt", partner="m")
    assert (law.column, law.partner, law.continuous) == (1, 0, (0, 1))
    suite = TINY.only("counts").with_law(law, other_generator("theirs", law, other))
    found = vs.arena(run(), [ENTERED["means"]], suite)
    assert found.laws == ("counts", "mine")
    assert found["means"].found("theirs", grade=2).share == 1.0
    assert found["means"].found("theirs", grade=2).pairs == 4
    with pytest.raises(vs.InputError, match="law 'mine'.*400 events"):
        vs.arena(run(), [means], Suite(laws=(law,), defects=DEFECTS[:1], sizes=(200,)))


def test_own_metrics_answer_null_pairs_of_every_law() -> None:
    for law in range(3):
        pair = Suite().made(Shown(law, 100, 0), vs.Seeds(8))
        for metric in own_metrics().values():
            given = ask(metric, pair)
            assert given.failure == "", metric.name
            assert metric.returns == "score" or given.value > 0.0


def test_what_is_no_metric_or_suite_is_refused() -> None:
    with pytest.raises(vs.InputError, match="metrics"):
        vs.arena(run(), [])
    with pytest.raises(vs.InputError, match="different names"):
        vs.arena(run(), [means, means])
    with pytest.raises(vs.InputError, match="function of two arrays"):
        Metric("number", 3)  # type: ignore[arg-type]
    with pytest.raises(vs.InputError, match="one of"):
        own_metrics(["no such metric"])
    with pytest.raises(vs.InputError, match=r"Suite\.nulls"):
        Suite(nulls=20)
    with pytest.raises(vs.InputError, match="at least the 40 events"):
        vs.arena(run(), [Metric("small", means, largest=10)], TINY)
    outside = ask(Metric("p", lambda x, y: 1.5 + 0.0 * len(x) * len(y), "p-value"), _pair())
    assert outside.failure == "p-value outside [0, 1]"


def _pair() -> tuple[Array, Array]:
    return TINY.made(Shown(0, 40, 0), vs.Seeds(1))


def test_found_has_an_exact_interval() -> None:
    assert Found.of(0, 10).low == 0.0
    assert Found.of(0, 10).high == pytest.approx(0.3085, abs=1e-4)
    assert math.isnan(Found.of(0, 0).share)
