"""The test in bins of context: what toys keep, where a deviation is found, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conditional_analytic import conditional_events, conditional_family, draw_at
from statistical import assert_within
from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.checks.goodness.alternatives.tilt import ExponentialTilt
from verisimile.checks.goodness.in_context import (
    Combination,
    ContextBins,
    SmallestP,
    SumOfBins,
    goodness_in_context,
)
from verisimile.checks.goodness.likelihood_ratio import goodness_of_fit
from verisimile.checks.goodness.null import AveragedNull, ConditionalNull, PlugIn
from verisimile.checks.goodness.result import ContextGoodness
from verisimile.checks.goodness.search import Alternative
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, VerisimileWarning
from verisimile.core.random import Seeds
from verisimile.core.result import load, save
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.provenance import Seen
from verisimile.mixture.conditional import ConditionalMixture, ContextColumns
from verisimile.mixture.fit import fit_weights
from verisimile.mixture.sampling import conditional_log_densities
from verisimile.stats.pvalues import Empirical

M = 4
TRUTH = np.array([0.4, 0.3, 0.2, 0.1])
KERNELS = GaussianKernels(count=6, width=0.5, reference=200)
KINDS = ["kernels", "tilt"]
BINS = ContextBins("c0", (-1.5, -0.5, 0.5, 1.5), alternative=KERNELS)


@pytest.fixture(scope="module")
def mixture() -> ConditionalMixture:
    rng = np.random.default_rng(3)
    members = conditional_family(M)
    context = rng.uniform(-1.5, 1.5, (2000, 1))
    x = draw_at(members, TRUTH, context, rng)
    return ConditionalMixture(members, fit_weights(conditional_log_densities(members, x, context)))


def sample(n: int, seed: int = 1) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    context = rng.uniform(-1.5, 1.5, (n, 1))
    return draw_at(conditional_family(M), TRUTH, context, rng), context


def found(mixture: ConditionalMixture, bins: ContextBins = BINS, toys: int = 19) -> ContextGoodness:
    events = conditional_events(*sample(900))
    return goodness_in_context(Run(Seeds(1)), mixture, events, bins=bins, toys=toys)


def test_held_out_truth_is_described(mixture: ConditionalMixture) -> None:
    result = found(mixture)
    assert result.p_value.value > 0.05
    assert result.n_failed == 0
    assert result.counts.sum() == result.n_events == 900
    assert len(result.parts) == 3
    assert result.toys.shape == (19, 3)
    assert "3 bins of c0" in repr(result)
    expected = Empirical(result.toys.sum(axis=1), "predictive").p_value(result.statistics.sum())
    assert result.p_value == expected


@pytest.mark.parametrize("place", [0, 2])
@pytest.mark.parametrize("alternative", [KERNELS, ExponentialTilt(count=6, width=0.5)], ids=KINDS)
def test_a_deviation_in_one_bin_is_found_there(
    mixture: ConditionalMixture, alternative: Alternative, place: int
) -> None:
    x, context = sample(1500, seed=2)
    low, high = BINS.edges[place : place + 2]  # type: ignore[index]
    here = (context[:, 0] >= low) & (context[:, 0] < high)
    x[here] += 0.8
    result = goodness_in_context(
        Run(Seeds(2)),
        mixture,
        conditional_events(x, context),
        bins=replace(BINS, alternative=alternative),
        toys=39,
    )
    assert result.p_value.value == pytest.approx(1 / 40)
    assert result.leading == place
    # The largest toy of each other bin has the smallest p-value, too.
    smallest = SmallestP().p_value(result.statistics, result.toys, "toys")
    assert smallest.value <= 3 / 40
    others = [part.p_value.value for b, part in enumerate(result.parts) if b != place]
    assert min(others) > 1 / 40
    ratio = result.parts[place].fitted
    assert ratio is not None
    centre = 0.8 * (low + high) / 2
    deficit, excess = ratio(np.array([[centre - 1.0], [centre + 2.0]]))
    assert deficit < 1 < excess


@pytest.mark.parametrize("combination", [SumOfBins(), SmallestP()])
def test_combinations_are_uniform_for_dependent_bins(
    combination: Combination, rng: np.random.Generator
) -> None:
    # Rows of 5 bins that share most of their fluctuation; each row in turn is the data.
    shared = rng.standard_normal((400, 1))
    table = (0.9 * shared + 0.4 * rng.standard_normal((400, 5))) ** 2
    values = [
        combination.p_value(table[i], np.delete(table, i, axis=0), "toys").value
        for i in range(0, 400, 8)
    ]
    assert_within(np.mean(values), 0.5, np.sqrt(1 / 12 / 50))


def test_a_failed_bin_counts_as_extreme() -> None:
    toys = np.array([[1.0, np.nan], [1.0, 1.0], [1.0, 1.0]])
    p_value = SumOfBins().p_value(np.array([5.0, 5.0]), toys, "toys")
    assert (p_value.value, p_value.n_failed) == (2 / 4, 1)


def test_toys_keep_the_contexts_row_by_row(mixture: ConditionalMixture, seeds: Seeds) -> None:
    # Of a sharp core x ~ 0.8 c the means follow the contexts.
    context = np.repeat([[-1.4], [1.4]], 2000, axis=0)
    null = ConditionalNull.of(mixture, context)
    drawn = null.sample(np.zeros(null.variations.shape[1]), 4000, seeds.numpy())
    expected = mixture.draw(context, seeds.numpy())
    np.testing.assert_array_equal(drawn.x, expected.x)
    np.testing.assert_array_equal(drawn.log_densities, null.log_densities(drawn.x))
    np.testing.assert_array_equal(null.log_prob(drawn.x), mixture.log_prob(drawn.x, context))
    assert drawn.x[2000:].mean() - drawn.x[:2000].mean() > 1.0
    with pytest.raises(InputError, match="one event for each context"):
        null.sample(np.zeros(null.variations.shape[1]), 3999, seeds.numpy())


def test_one_draw_of_the_weights_serves_all_contexts(
    mixture: ConditionalMixture, seeds: Seeds
) -> None:
    context = np.tile([[0.3]], (20_000, 1))
    null = ConditionalNull.of(mixture, context)
    truth = np.asarray(2.0 * seeds.numpy().standard_normal(null.variations.shape[1]))
    drawn = null.sample(truth, 20_000, seeds.numpy())
    grid = np.linspace(-15, 15, 6001)[:, None]
    density = np.exp(conditional_log_densities(mixture.members, grid, np.full(grid.shape, 0.3)))
    varied = np.clip(density @ (mixture.weights + null.variations @ truth), 0, None)
    mean = float((grid[:, 0] * varied).sum() / varied.sum())
    assert_within(drawn.x.mean(), mean, drawn.x.std() / np.sqrt(20_000))


def test_averaged_null_is_the_mean_over_its_contexts(mixture: ConditionalMixture) -> None:
    nodes = np.array([[-0.4], [0.1], [0.4]])
    local = AveragedNull(ConditionalNull.of(mixture, nodes), nodes)
    x = np.linspace(-3, 3, 7)[:, None]
    expected = np.mean(
        [np.exp(mixture.log_densities(x, np.full(x.shape, c))) for c in nodes[:, 0]], axis=0
    )
    np.testing.assert_allclose(np.exp(local.log_densities(x)), expected, rtol=1e-12)
    assert local.log_prob(x) == pytest.approx(np.log(expected @ mixture.weights), rel=1e-12)


def test_the_alternative_does_not_look_at_x(mixture: ConditionalMixture) -> None:
    x, context = sample(900)
    runs = [
        goodness_in_context(
            Run(Seeds(1)), mixture, conditional_events(values, context), bins=BINS, toys=3
        )
        for values in (x, x[::-1])
    ]
    np.testing.assert_array_equal(runs[0].toys, runs[1].toys)


def test_single_member_and_plug_in(mixture: ConditionalMixture) -> None:
    events = conditional_events(*sample(900))
    one = goodness_in_context(
        Run(Seeds(1)), mixture, events, bins=BINS, hypothesis="single", toys=3
    )
    assert (one.n_members, one.variations) == (1, 0)
    plug_in = goodness_in_context(Run(Seeds(1)), mixture, events, bins=BINS, null=PlugIn(), toys=3)
    assert any("plug-in" in text for text in plug_in.warnings)


def test_result_survives_the_disk(mixture: ConditionalMixture, tmp_path: Path) -> None:
    result = found(mixture, toys=3)
    save(result, tmp_path / "result.json")
    again = load(tmp_path / "result.json")
    assert isinstance(again, ContextGoodness)
    assert again.p_value == result.p_value
    np.testing.assert_array_equal(again.edges, result.edges)
    np.testing.assert_array_equal(again.toys, result.toys)


def test_equal_shares_of_the_contexts() -> None:
    values = np.random.default_rng(1).exponential(size=1001)
    placed = ContextBins("c", 4).place(values)
    assert placed.counts.tolist() == [250, 250, 250, 251]
    assert (placed.index >= 0).all()
    assert placed.interval(0).startswith("c from")


def test_ties_make_fewer_bins() -> None:
    placed = ContextBins("c", 4).place(np.repeat([1.0, 2.0, 3.0], 200))
    assert placed.edges.tolist() == [1.0, 2.0, 3.0]
    assert placed.counts.tolist() == [200, 400]


def test_edges_of_bins() -> None:
    placed = ContextBins("c", (0.0, 1.0, 2.0), fewest=1).place(np.array([-1, 0, 0.5, 1, 2, 2.1]))
    assert placed.index.tolist() == [-1, 0, 0, 1, 1, -1]
    assert placed.inside.tolist() == [1, 2, 3, 4]
    assert placed.kept().index.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("edges", [0, (1.0,), (1.0, 1.0), (2.0, 1.0), (0.0, np.inf)])
def test_impossible_edges(edges: int | tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="ContextBins"):
        ContextBins("c", edges)


def test_events_outside_of_the_bins_are_counted(mixture: ConditionalMixture) -> None:
    result = found(mixture, replace(BINS, edges=(-0.5, 0.5)), toys=3)
    assert result.n_unused > 0
    assert result.n_events + result.n_unused == 900
    assert any("outside of the bins" in text for text in result.warnings)


@pytest.mark.parametrize("edges", [(-1.5, 1.5, 3.0), (-1.5, -1.48, 1.5)])
def test_empty_and_poor_bins_are_refused(
    mixture: ConditionalMixture, edges: tuple[float, ...]
) -> None:
    with pytest.raises(InputError, match="too few events"):
        found(mixture, replace(BINS, edges=edges))


def test_bins_are_of_the_context(mixture: ConditionalMixture) -> None:
    with pytest.raises(InputError, match="ContextBins.feature"):
        found(mixture, replace(BINS, feature="x0"))


MISUSES: dict[str, Callable[[ConditionalMixture, Events], object]] = {
    "unconditional test": lambda mixture, events: goodness_of_fit(
        Run(Seeds(1)),
        mixture,  # type: ignore[arg-type]
        events,
    ),
    "mixture without context": lambda mixture, events: goodness_in_context(
        Run(Seeds(1)),
        mixture.at([0.0]),  # type: ignore[arg-type]
        events,
        bins=BINS,
    ),
    "other columns": lambda mixture, events: goodness_in_context(
        Run(Seeds(1)), mixture, events.select(["x0"]), bins=BINS
    ),
    "weights": lambda mixture, events: goodness_in_context(
        Run(Seeds(1)), mixture, Events(events.x, np.ones(events.n), names=events.names), bins=BINS
    ),
    "no toys": lambda mixture, events: goodness_in_context(
        Run(Seeds(1)), mixture, events, bins=BINS, toys=0
    ),
}


@pytest.mark.parametrize("misuse", list(MISUSES))
def test_misuse_is_refused(mixture: ConditionalMixture, misuse: str) -> None:
    with pytest.raises(InputError):
        MISUSES[misuse](mixture, conditional_events(*sample(900)))


def test_contexts_outside_the_trained_range_are_said(mixture: ConditionalMixture) -> None:
    narrow = ConditionalMixture(
        mixture.members,
        mixture.fit,
        context=ContextColumns((Feature("c0"),), np.array([[-1.0], [1.0]])),
    )
    with pytest.warns(VerisimileWarning, match="training range"):
        result = found(narrow, toys=3)
    assert result.n_outside > 200
    assert any("training range" in text for text in result.warnings)


def test_events_used_before_are_noticed(mixture: ConditionalMixture) -> None:
    events = conditional_events(*sample(900))
    used = ConditionalMixture(
        mixture.members, mixture.fit, provenance=(Seen.of("weight-fit", events),)
    )
    with pytest.warns(VerisimileWarning, match="also in the weight-fit sample"):
        found(used, toys=3)
