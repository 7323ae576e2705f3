"""Draw the figures of these pages that come from small studies of known truths (minutes).

.venv/bin/python docs/make_study_figures.py [NAME ...]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import ks_2samp

import verisimile as vs
from verisimile.checks import precision_recall as pr
from verisimile.checks.goodness.result import Goodness
from verisimile.checks.physics.histograms import marginal_pair
from verisimile.checks.precision_recall.comparison import compare_curves
from verisimile.core.arrays import Array
from verisimile.data.derived import described as describe
from verisimile.data.description import Description
from verisimile.data.example import load_example
from verisimile.data.truths import Camel, RingOfEight
from verisimile.mixture.fit import single_weight
from verisimile.mixture.sampling import conditional_log_densities
from verisimile.report import style
from verisimile.report.sections.amplification import plot_gains
from verisimile.report.sections.coverage import coverage_figure
from verisimile.report.sections.family_figures import plot_bands, plot_radial_bands
from verisimile.report.sections.validation_figures import plot_marginal_pair, plot_validation
from verisimile.validation.study import Battery, Study
from verisimile.validation.validate import validate

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from analytic import Blend, draw, family, log_densities
from camel_generators import FITTED_GAIN, fitted
from conditional_analytic import conditional_events, conditional_family, draw_at
from coverage_values import PAPER, spanning_members, spanning_mixture
from monitor_study import night, watched
from ratio_pairs import BumpPair
from surrogates import bump

OUT = Path(__file__).parent / "figures"
SEEDS = vs.Seeds(2026)


def coverage() -> Figure:
    """Coverage of the first moments of the published Gaussian."""
    return coverage_figure(
        vs.coverage(
            vs.Run(SEEDS),
            spanning_mixture(spanning_members(12), 4000),
            vs.KnownTruth(PAPER, {"mean x0": -0.5, "mean x1": 0.6}),
            observables={"mean x0": vs.Moment("x0"), "mean x1": vs.Moment("x1")},
            datasets=300,
        )
    )


def tilt() -> Figure:
    """Draw what both alternatives make of a tail that lacks 70 % of its events."""
    rng = SEEDS.at("tail").numpy()
    normal = Blend(np.zeros((1, 1)), np.ones((1, 1)), np.ones(1))
    mixture = vs.Mixture([normal], single_weight())
    x = rng.standard_normal((6000, 1))
    x = x[(x[:, 0] < 1.8) | (rng.random(len(x)) > 0.7)][:5000]
    forms = {"kernels": vs.GaussianKernels(count=20), "tilt": vs.ExponentialTilt(count=20)}
    found = {name: _test(mixture, vs.Events(x), form, "single") for name, form in forms.items()}
    grid = np.linspace(-3.2, 3.4, 400)[:, None]

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        kept = 1.0 - 0.7 * 0.0359
        axes.step(grid, np.where(grid < 1.8, 1.0, 0.3) / kept, color=style.DATA, label="truth")
        for (name, test), colour in zip(
            found.items(), (style.REFERENCE, style.ALTERNATIVE), strict=True
        ):
            part = test.leading
            label = f"{name}, t = {part.statistic:.0f} (toys {part.toys.mean():.0f})"
            axes.plot(grid, test.ratio(grid), color=colour, label=label)
        axes.set(xlabel="x", ylabel="$p_1/p_0$", ylim=(0.0, 1.6))
        axes.legend(loc="lower left")

    return style.draw(paint, width=5.6, height=3.4)


def places() -> Figure:
    """Scores of eighty kernels, for a model that lacks a bump."""
    rng = SEEDS.at("bump").numpy()
    members, truth = family(3), np.array([0.5, 0.3, 0.2])
    fit = vs.fit_weights(log_densities(members, draw(members, truth, 4000, rng)))
    bump = rng.normal([1.2, -0.9], 0.2, (120, 2))
    events = vs.Events(np.concatenate([draw(members, truth, 4000, rng), bump]))
    form = vs.GaussianKernels(count=80, width=0.4, reference=1000)
    test = _test(vs.Mixture(members, fit), events, form, "ensemble+uncertainty")
    found = vs.localise(vs.Run(SEEDS), test, events)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.plot(*events.x.T, ".", color=style.TOYS, markersize=2, zorder=0)
        shown = axes.scatter(
            *found.centres.T, c=found.z, s=60, cmap="RdBu_r", vmin=-6, vmax=6, edgecolors="#333333"
        )
        axes.plot(1.2, -0.9, "+", color=style.DATA, markersize=14, label="the bump")
        axes.set(xlabel="x0", ylabel="x1", xlim=(-3.5, 3.5), ylim=(-3.5, 3.5))
        axes.legend(loc="upper left")
        figure.colorbar(shown, label="z")

    return style.draw(paint, width=5.6, height=4.4)


def conditional() -> Figure:
    """Fitted densities at three contexts, and the p-values of a deviation in one bin."""
    rng = SEEDS.at("conditional").numpy()
    members, truth = conditional_family(3), np.array([0.5, 0.3, 0.2])
    context = rng.uniform(-1.5, 1.5, (10_000, 1))
    x = draw_at(members, truth, context, rng)
    weighting, tested = slice(0, 4000), slice(4000, None)
    mixture = vs.ConditionalMixture(
        members,
        vs.fit_weights(conditional_log_densities(members, x[weighting], context[weighting])),
    )
    edges = np.linspace(-1.5, 1.5, 5)
    moved, c = x[tested].copy(), context[tested]
    moved[(c[:, 0] > edges[2]) & (c[:, 0] < edges[3])] += 0.25
    form = vs.GaussianKernels(count=10, reference=1000)
    bins = vs.goodness.ContextBins(
        "c0", tuple(edges), alternative=form, combination=vs.goodness.SmallestP()
    )
    found = vs.goodness_in_context(
        vs.Run(SEEDS), mixture, conditional_events(moved, c), bins=bins, toys=200
    )

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        grid = np.linspace(-5, 6, 400)[:, None]
        for at, colour in ((-1.0, style.REFERENCE), (0.0, style.MUTED), (1.0, style.ALTERNATIVE)):
            density = np.exp(mixture.log_prob(grid, np.full(grid.shape, at)))
            left.plot(grid, density, color=colour, label=f"c = {at:g}")
        left.set(xlabel="x", ylabel=r"$\hat f(x\,|\,c)$")
        left.legend()
        middles = np.arange(len(found.parts))
        right.semilogy(middles, [p.p_value.value for p in found.parts], "o", color=style.DATA)
        right.axhline(0.05, color=style.MUTED, linestyle="--")
        labels = [f"{a:.1f} to {b:.1f}" for a, b in zip(found.edges, found.edges[1:], strict=False)]
        right.set_xticks(middles, labels, fontsize=8)
        right.set(xlabel="bin of c", ylabel="p of the bin alone", ylim=(0.003, 1.5))
        right.set_title(f"x shifted in the third bin: p = {found.p_value.value:.3g}", fontsize=9.5)

    return style.draw(paint, width=8.4, height=3.2)


def validation() -> Figure:
    """Draw the battery's p-values, and the place, of 1.5 % of the events in a bump."""
    reference, fresh = load_example()["truth"].split([0.2, 0.2], SEEDS)
    battery = Battery(permutations=499, sensitivity=False, support=False)
    found = validate(
        vs.Run(SEEDS), reference, bump(fresh, SEEDS.numpy()), study=Study(battery=battery)
    )
    mass = next(p for p in found.physics.marginals if p.feature.name == "m_ll")
    windows = [w for w in found.windows.significant(0.05) if w.feature == "m_ll"]

    def paint(figure: Figure) -> None:
        left, right = figure.subfigures(1, 2, width_ratios=(1.15, 1.0))
        plot_validation(found, ax=left.add_subplot())
        plot_marginal_pair(mass, windows=windows, ax=right.add_subplot())

    return style.draw(paint, width=11.0, height=4.4)


def described() -> Figure:
    """Marginals of two described features: a transverse momentum and a mass."""
    example = load_example()
    said = {
        "pt_ll": Description(label=r"$p_T^{\mu\mu}$"),
        "m_ll": Description(label=r"$m_{\mu\mu}$"),
    }
    reference, generated = (
        describe(events.select(list(said)), said)
        for events in (example["truth"].split([0.2], SEEDS)[0], example["generator_tune"])
    )
    pairs = marginal_pair(reference, generated)

    def paint(figure: Figure) -> None:
        for part, pair in zip(figure.subfigures(1, 2), pairs, strict=True):
            plot_marginal_pair(pair, ax=part.add_subplot())

    return style.draw(paint, width=9.6, height=4.0)


def amplification() -> Figure:
    """G of the camel's fit, of a memoriser, and of true events drawn again: ten trainings each."""
    rng = SEEDS.at("amplification").numpy()
    truth, n_train, regions = Camel(), 1000, (10, 20, 50, 100)
    holdout = vs.Events(truth.sample(100_000, rng))

    def again(n: int) -> Array:
        x = truth.sample(n, rng)
        return np.asarray(x[rng.integers(n, size=50_000)])

    generators = {
        "fit": (lambda: fitted(n_train, rng).draw(50_000, rng), style.DATA),
        "memoriser": (lambda: again(n_train), style.ALTERNATIVE),
        "3000 true events": (lambda: again(3 * n_train), style.REFERENCE),
    }
    curves = []
    for name, (make, colour) in generators.items():
        found = vs.amplification.quantile_of_trainings(
            vs.Run(SEEDS),
            [vs.Events(make()) for _ in range(10)],
            holdout,
            n_train=n_train,
            regions=regions,
        )
        curves.append((name, found.points, colour))

    def paint(figure: Figure) -> None:
        axes = plot_gains(curves, ax=figure.add_subplot())
        exact = [FITTED_GAIN[count] for count in regions]
        axes.plot(regions, exact, color=style.MUTED, zorder=0)

    return style.draw(paint, width=6.2, height=4.0)


def families() -> Figure:
    """Bands of eight trainings each of two families on the ring, and where they differ."""
    ring = RingOfEight()

    def true(n: int, *words: str | int) -> vs.Events:
        return vs.Events(ring.sample(n, SEEDS.at("ring", *words).numpy()))

    reference = true(5000, "reference")
    trainers: dict[str, vs.density.GaussianMixtureTrainer | vs.SplineFlowTrainer] = {
        "mixture of eight Gaussians": vs.density.GaussianMixtureTrainer(components=(8,), starts=1),
        "small spline flow": vs.SplineFlowTrainer(hidden=32, epochs=8, marginal_bins=0),
    }
    groups = []
    for name, trainer in trainers.items():
        at = SEEDS.at("ring", name)
        models = [
            trainer.fit(true(1500, "train", i), true(500, "validation", i), at.at(i)).model
            for i in range(8)
        ]
        groups.append([m.sample(5000, at.at("draw", i).numpy()) for i, m in enumerate(models)])
    bands = tuple(pr.precision_recall_bands(vs.Run(SEEDS), reference, groups))
    found = compare_curves(vs.Run(SEEDS), *bands)

    def paint(figure: Figure) -> None:
        left, right = figure.subfigures(1, 2, width_ratios=(1.0, 1.25))
        named = dict(zip(trainers, bands, strict=True))
        plot_bands(named, ax=left.add_subplot())
        plot_radial_bands(named, comparison=found, ax=right.add_subplot())

    return style.draw(paint, width=11.0, height=4.4)


def reweighting() -> Figure:
    """Weights of exponentials that lack a bump, beside the exact ones, and their template."""
    pair, rng = BumpPair(2), SEEDS.at("reweighting").numpy()
    generated = pair.generated(8000, rng)
    found = vs.reweight(vs.Run(SEEDS), pair.reference(8000, rng), generated, permutations=99)
    x = np.column_stack([np.linspace(0.0, 4.5, 120), np.zeros(120)])
    w, error, exact = found.weights(x), found.errors(x), np.exp(pair.log_ratio(x))
    edges = np.linspace(0.0, 4.5, 19)
    inside = generated[found.inside(generated)]
    made = found.templates(inside, {"x0": edges})
    true = np.histogram(pair.reference(1_000_000, rng)[:, 0], edges)[0] / 1e6 * len(inside)
    bare = np.histogram(inside[:, 0], edges)[0]

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        left.fill_between(x[:, 0], w - error, w + error, color=style.BAND_1, label="learnt, ± 1σ")
        left.plot(x[:, 0], exact, "--", color=style.DATA, label="exact")
        left.set(xlabel="x0 (x1 = 0)", ylabel="w = reference / generated")
        left.legend()
        middle = 0.5 * (edges[1:] + edges[:-1])
        right.plot(middle, bare / true, "s", color=style.ALTERNATIVE, label="generated")
        right.errorbar(
            middle,
            made.nominal / true,
            made.errors / true,
            fmt="o",
            color=style.REFERENCE,
            label="reweighted, all errors",
        )
        right.axhline(1.0, color=style.MUTED, lw=0.8)
        right.set(xlabel="x0", ylabel="content / truth")
        right.legend()

    return style.draw(paint, width=9.0, height=3.6)


def nights() -> Figure:
    """Evidence of many nights with and without a drift, and the p-value of each night afresh."""
    quiet = [watched(seed, 120, 200) for seed in range(6)]
    drifting = [watched(50 + seed, 120, 200, scale=1.01, since=40) for seed in range(3)]
    fresh = []
    for seed in range(6):
        rng = SEEDS.at("nights", seed).numpy()
        pairs = (night(rng, 200) for _ in range(120))
        values = [ks_2samp(x[:, 0], y[:, 0]).pvalue for x, y in pairs]
        fresh.append(np.minimum.accumulate(values))

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        for shown, colour, label in (
            (quiet, style.REFERENCE, "no drift"),
            (drifting, style.ALTERNATIVE, "1 % from night 40 on"),
        ):
            for k, each in enumerate(shown):
                left.step(
                    np.arange(1, each.log_e.size + 1),
                    each.log_e / np.log(10.0),
                    color=colour,
                    lw=1.0,
                    label=label if k == 0 else None,
                )
        left.axhline(np.log10(20.0), color=style.MUTED, ls="--", label="alarm at 5 %")
        left.set(xlabel="night", ylabel="log10 evidence")
        left.legend()
        for k, smallest in enumerate(fresh):
            right.step(
                np.arange(1, smallest.size + 1),
                smallest,
                color=style.REFERENCE,
                lw=1.0,
                label="no drift" if k == 0 else None,
            )
        right.axhline(0.05, color=style.MUTED, ls="--", label="alarm at 5 %")
        right.set(xlabel="night", ylabel="smallest p-value so far, one a night", yscale="log")
        right.legend()

    return style.draw(paint, width=9.0, height=3.6)


def _test(
    mixture: vs.Mixture,
    events: vs.Events,
    form: vs.GaussianKernels | vs.ExponentialTilt,
    hypothesis: str,
) -> Goodness:
    return vs.goodness_of_fit(
        vs.Run(SEEDS), mixture, events, alternative=form, hypothesis=hypothesis, toys=40
    )


FIGURES: dict[str, Callable[[], Figure]] = {
    "coverage": coverage,
    "tilt": tilt,
    "places": places,
    "conditional": conditional,
    "validation": validation,
    "described": described,
    "amplification": amplification,
    "families": families,
    "reweighting": reweighting,
    "nights": nights,
}


def main() -> None:
    """Write the figures named in the command line, or all."""
    OUT.mkdir(exist_ok=True)
    for name in sys.argv[1:] or FIGURES:
        (OUT / f"{name}.png").write_bytes(style.to_png(FIGURES[name]()))


if __name__ == "__main__":
    main()
