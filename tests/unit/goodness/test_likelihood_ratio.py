"""The test as users call it: toys, storage, hypotheses, notes, bad input."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from analytic import Blend, draw, family, log_densities
from verisimile.checks.goodness.alternatives.kernels import (
    GaussianKernels,
    Kernels,
    Quantiles,
    kernel_widths,
    narrow,
)
from verisimile.checks.goodness.alternatives.tilt import ExponentialTilt
from verisimile.checks.goodness.likelihood_ratio import compare_hypotheses, goodness_of_fit
from verisimile.checks.goodness.null import FluctuatedCentre, PlugIn, Predictive
from verisimile.checks.goodness.result import Goodness
from verisimile.checks.goodness.search import Search
from verisimile.checks.goodness.toys import Sequential
from verisimile.core.errors import InputError, VerisimileWarning
from verisimile.core.random import Seeds
from verisimile.core.result import from_dict, to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.provenance import Seen
from verisimile.mixture.fit import fit_weights
from verisimile.mixture.model import Mixture

M = 3
TRUTH = np.array([0.5, 0.3, 0.2])
KERNELS = GaussianKernels(count=8, width=0.7, reference=200)
BARE = Search((KERNELS,), placements=1, surprise=None)  # t of one placement, and nothing else


@pytest.fixture(scope="module")
def members() -> list[Blend]:
    return family(M)


@pytest.fixture(scope="module")
def mixture(members: list[Blend]) -> Mixture:
    data = draw(members, TRUTH, 1000, np.random.default_rng(41))
    return Mixture(members, fit_weights(log_densities(members, data)))


@pytest.fixture(scope="module")
def events(members: list[Blend]) -> Events:
    return Events(draw(members, TRUTH, 500, np.random.default_rng(42)))


def test_a_wrong_model_is_rejected_and_a_right_one_is_not(
    mixture: Mixture, members: list[Blend], events: Events
) -> None:
    run = Run(Seeds(1))
    shifted = Events(draw(members, TRUTH, 500, np.random.default_rng(43)) + [0.4, 0.0])
    right = goodness_of_fit(run, mixture, events, alternative=KERNELS, toys=59)
    wrong = goodness_of_fit(run, mixture, shifted, alternative=KERNELS, toys=59)
    assert wrong.p_value.value == 1 / 60
    assert wrong.p_value.value < right.p_value.value
    assert wrong.z.high == math.inf
    # Events are missing on the left, and too many on the right.
    probes = np.array([[-2.0, 0.0], [2.0, 0.0]])
    assert wrong.ratio(probes)[0] < 1.0 < wrong.ratio(probes)[1]


def test_toys_are_reused_and_extended(mixture: Mixture, events: Events, tmp_path: Path) -> None:
    run = Run(Seeds(2), store=tmp_path / "run")
    first = goodness_of_fit(run, mixture, events, alternative=KERNELS, toys=20)
    records = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.safetensors")}
    more = goodness_of_fit(run, mixture, events, alternative=KERNELS, toys=40)
    assert more.parts[0].toys[:20].tolist() == first.parts[0].toys.tolist()
    assert more.surprise is not None
    assert first.surprise is not None
    assert more.surprise.toys[:20].tolist() == first.surprise.toys.tolist()
    assert all(p.stat().st_mtime_ns == stamp for p, stamp in records.items())


def test_toys_do_not_depend_on_the_executor(mixture: Mixture, events: Events) -> None:
    serial, parallel = (
        goodness_of_fit(
            Run(Seeds(3), executor=executor), mixture, events, alternative=KERNELS, toys=25
        )
        for executor in ("serial", "loky:2")
    )
    assert serial.toys.tolist() == parallel.toys.tolist()
    assert serial.statistic == parallel.statistic


def test_two_hypotheses_on_the_mixture_see_the_same_toys_as_one(
    mixture: Mixture, events: Events
) -> None:
    run = Run(Seeds(4))
    both = compare_hypotheses(run, mixture, events, alternative=KERNELS, toys=15)
    alone = goodness_of_fit(run, mixture, events, alternative=KERNELS, toys=15)
    assert [g.hypothesis for g in both] == ["single", "ensemble", "ensemble+uncertainty"]
    assert both[2].toys.tolist() == alone.toys.tolist()
    assert both[2].statistic == alone.statistic


@pytest.mark.parametrize("null", [Predictive(), FluctuatedCentre(), PlugIn()])
def test_every_calibration_runs_and_plug_in_warns(
    mixture: Mixture, events: Events, null: Predictive
) -> None:
    found = goodness_of_fit(Run(Seeds(5)), mixture, events, alternative=KERNELS, null=null, toys=10)
    assert found.null == null.name == found.p_value.null
    assert found.toys.min() >= 0.0
    assert bool(found.warnings) == isinstance(null, PlugIn)


def test_fluctuated_toys_are_wider_than_plug_in_toys(mixture: Mixture, events: Events) -> None:
    # What makes plug-in reject too often: its toys never miss the constraint.
    def mean(null: Predictive) -> float:
        found = goodness_of_fit(
            Run(Seeds(6)),
            mixture,
            Events(np.tile(events.x, (8, 1)) + 1e-9 * np.arange(8 * events.n)[:, None]),
            alternative=BARE,
            hypothesis="ensemble",
            null=null,
            toys=30,
        )
        return float(found.toys.mean())

    assert mean(Predictive()) > 1.2 * mean(PlugIn())  # type: ignore[arg-type]


def test_shared_events_are_noticed(members: list[Blend], events: Events) -> None:
    fit = fit_weights(log_densities(members, events.x))
    mixture = Mixture(members, fit, provenance=(Seen.of("training", events),))
    part = events.take(np.arange(50))
    with pytest.warns(VerisimileWarning, match="50 of 50 test events are also in the training"):
        found = goodness_of_fit(Run(Seeds(7)), mixture, part, alternative=KERNELS, toys=5)
    assert len(found.warnings) == 1


def test_features_are_matched_by_name(members: list[Blend], events: Events) -> None:
    fit = fit_weights(log_densities(members, events.x))
    mixture = Mixture(members, fit, features=Events(events.x, names=("a", "b")).features)
    named = Events(events.x, names=("a", "b"))
    swapped = Events(events.x[:, ::-1], names=("b", "a"))
    run = Run(Seeds(8))
    results = [
        goodness_of_fit(run, mixture, e, alternative=KERNELS, toys=5) for e in (named, swapped)
    ]
    assert results[0].statistic == results[1].statistic
    other = Events(events.x, names=("a", "c"))
    with pytest.raises(InputError, match="c"):
        goodness_of_fit(run, mixture, other, alternative=KERNELS, toys=5)


def test_several_alternatives_share_their_toys_and_are_corrected_for(
    mixture: Mixture, members: list[Blend], events: Events
) -> None:
    run = Run(Seeds(11))
    several = tuple(GaussianKernels(count=8, width=w, reference=200) for w in (0.2, 0.5, 1.0))
    bare = Search(several, surprise=None)
    found = goodness_of_fit(run, mixture, events, alternative=bare, toys=59)
    alone = [
        goodness_of_fit(run, mixture, events, alternative=Search((a,), surprise=None), toys=59)
        for a in several
    ]
    assert [part.statistic for part in found.parts] == [g.statistic for g in alone]
    assert [part.p_value for part in found.parts] == [g.p_value for g in alone]
    smallest = min(part.p_value.value for part in found.parts)
    assert found.leading.p_value.value == smallest
    assert smallest <= found.p_value.value <= 3 * smallest + 1 / 60
    assert found.statistic == pytest.approx(-math.log(smallest))
    shifted = Events(draw(members, TRUTH, 500, np.random.default_rng(43)) + [0.4, 0.0])
    wrong = goodness_of_fit(run, mixture, shifted, alternative=bare, toys=59)
    assert wrong.p_value.value < found.p_value.value
    assert "-log min p" in repr(wrong)


def test_t_is_the_mean_over_placements_and_one_placement_is_the_first(
    mixture: Mixture, events: Events
) -> None:
    run = Run(Seeds(17))
    for alternative in (KERNELS, ExponentialTilt(count=8, width=0.7, reference=1000)):
        one, three = (
            goodness_of_fit(
                run,
                mixture,
                events,
                alternative=Search((alternative,), placements=p, surprise=None),
                toys=9,
            )
            for p in (1, 3)
        )
        (part,) = three.parts
        assert part.placement_statistics.size == part.placement_p_values.size == 3
        assert part.placement_statistics[0] == one.statistic
        assert len(set(part.placement_statistics)) == 3
        assert three.statistic == pytest.approx(part.placement_statistics.mean())
        assert three.symbol == one.symbol == "t"


def test_a_sequential_search_ends_early_and_agrees_with_its_toys(
    mixture: Mixture, members: list[Blend], events: Events
) -> None:
    run = Run(Seeds(12))
    toys = Sequential(exceedances=5, most=120)
    early = goodness_of_fit(run, mixture, events, alternative=BARE, toys=toys)
    fixed = goodness_of_fit(run, mixture, events, alternative=BARE, toys=120)
    assert early.toys.size == early.p_value.n_null < early.most_toys == 120
    assert early.toys.tolist() == fixed.toys[: early.toys.size].tolist()
    assert early.toys[-1] >= early.statistic
    assert (early.toys >= early.statistic).sum() == 5
    assert early.p_value.value == 5 / early.toys.size
    shifted = Events(draw(members, TRUTH, 500, np.random.default_rng(43)) + [0.4, 0.0])
    late = goodness_of_fit(run, mixture, shifted, alternative=BARE, toys=toys)
    assert late.toys.size == 120
    assert late.p_value.value == 1 / 121


def test_a_sequential_search_with_surprise_scales_by_toys_apart(
    mixture: Mixture, members: list[Blend], events: Events
) -> None:
    run = Run(Seeds(12))
    toys = Sequential(exceedances=5, most=60)
    early = goodness_of_fit(run, mixture, events, alternative=KERNELS, toys=toys)
    assert early.symbol == "largest z"
    assert (early.toys >= early.statistic).sum() == 5
    assert early.p_value.value == 5 / early.toys.size
    far = np.concatenate([events.x[1:], [[30.0, 0.0]]])
    late = goodness_of_fit(run, mixture, Events(far), alternative=KERNELS, toys=toys)
    assert late.p_value.value == 1 / 61


def test_a_sequential_search_and_several_alternatives_exclude_each_other(
    mixture: Mixture, events: Events
) -> None:
    with pytest.raises(InputError, match="a fixed number"):
        goodness_of_fit(
            Run(Seeds(1)), mixture, events, alternative=KERNELS.scan(), toys=Sequential()
        )
    with pytest.raises(InputError, match="exceedances <= most"):
        Sequential(exceedances=20, most=10)


def test_a_scan_has_one_width_per_alternative() -> None:
    scan = KERNELS.scan(0.001, 0.05)
    assert [a.width for a in scan] == [Quantiles((0.001,)), Quantiles((0.05,))]
    assert len({a.name for a in scan}) == 2
    y = np.random.default_rng(45).standard_normal((2000, 4))
    widths = kernel_widths(y, Quantiles((0.0005, 0.01, 0.1)))
    assert list(widths) == sorted(widths)
    assert widths[-1] == 0.8
    line = y[:, :1]
    assert kernel_widths(line, Quantiles()) == pytest.approx((0.3, 0.75))
    with pytest.raises(InputError, match="between 0 and 1"):
        Quantiles((0.0,))


def test_an_alternative_without_bumps_is_the_null(mixture: Mixture, events: Events) -> None:
    nothing = ExponentialTilt(count=0, reference=1000)
    bare = Search((nothing,), surprise=None)
    found = goodness_of_fit(Run(Seeds(1)), mixture, events, alternative=bare, toys=9)
    assert found.statistic == 0.0
    assert found.toys.tolist() == [0.0] * 9
    assert found.p_value.value == 1.0
    assert np.isnan(found.leading.widths).all()


def test_no_alternative_is_refused(mixture: Mixture, events: Events) -> None:
    with pytest.raises(InputError, match="at least one alternative"):
        goodness_of_fit(Run(Seeds(1)), mixture, events, alternative=())


def test_results_survive_a_round_trip(mixture: Mixture, events: Events) -> None:
    found = goodness_of_fit(Run(Seeds(9)), mixture, events, alternative=KERNELS, toys=5)
    again = from_dict(to_dict(found))
    assert isinstance(again, Goodness)
    assert again.p_value == found.p_value
    assert again.toys.tolist() == found.toys.tolist()
    with pytest.raises(InputError, match="Call goodness_of_fit again"):
        again.ratio(events.x)


def test_bad_questions_are_refused(mixture: Mixture, events: Events) -> None:
    run = Run(Seeds(10))
    with pytest.raises(InputError, match="one of \\['single'"):
        goodness_of_fit(run, mixture, events, hypothesis="both")
    with pytest.raises(InputError, match="at least one toy"):
        goodness_of_fit(run, mixture, events, toys=0)
    weighted = Events(events.x, weights=np.ones(events.n))
    with pytest.raises(InputError, match="weighted test sample"):
        goodness_of_fit(run, mixture, weighted)


@pytest.mark.parametrize(
    "settings", [{"count": 1}, {"width": -1.0}, {"width": ()}, {"reference": 3}, {"barrier": 0.0}]
)
def test_bad_kernels_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(InputError, match="GaussianKernels"):
        GaussianKernels(**settings)  # type: ignore[arg-type]


def test_kernels_are_normalised_densities_in_original_units() -> None:
    # Importance sampling from a broad normal, in a space with a log-transformed feature.
    rng = np.random.default_rng(44)
    features = [Feature("a"), Feature("b", low=0.0)]
    sample = Events(
        np.column_stack([rng.normal(size=2000), rng.lognormal(size=2000)]), features=features
    )
    settings = GaussianKernels(count=5, width=(0.3, 1.0), reference=2000)
    wide = Kernels.at(sample, settings.count, settings.width, settings.probes, rng)
    kernels = narrow(wide, lambda x: np.zeros(len(x)), settings.reach)
    n = 400_000
    y = 2.0 * rng.standard_normal((n, 2))
    x = np.column_stack([y[:, 0], np.exp(y[:, 1])])
    log_q = -0.5 * (y**2).sum(axis=1) / 4.0 - np.log(2 * np.pi * 4.0) - y[:, 1]
    ratio = np.exp(kernels.log_density(x) - log_q[:, None])
    error = ratio.std(axis=0) / math.sqrt(n)
    assert (np.abs(ratio.mean(axis=0) - 1.0) < 5 * error).all()
    assert error.max() < 0.02
