"""Draw the figures about generators and posteriors (three minutes; `ring` wants the ring study).

.venv/bin/python docs/make_generator_figures.py [generators] [posterior] [ring]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

import verisimile as vs
from verisimile.checks.posterior.tarp import Tarp
from verisimile.data.truths import RingOfEight
from verisimile.density.protocol import SamplerTrainer, Trainer
from verisimile.report import style

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from posterior_study import conjugate

OUT = Path(__file__).parent / "figures"
SEEDS = vs.Seeds(2026)
TRAINERS: dict[str, Trainer | SamplerTrainer] = {
    "spline flow": vs.SplineFlowTrainer(),
    "kernel density": vs.density.KernelDensityTrainer(),
    "Gaussian mixture": vs.density.GaussianMixtureTrainer(),
    "mixture network": vs.density.MixtureNetworkTrainer(),
    "flow matching": vs.density.FlowMatchingTrainer(),
    "Bayesian flow": vs.density.BayesianFlowTrainer(),
    "dropout flow": vs.density.DropoutFlowTrainer(),
    "diffusion": vs.density.DiffusionTrainer(depth=2, batch=125, epochs=150, decay=True),
    "GAN": vs.density.AdversarialTrainer(),
    "VAE": vs.density.AutoencoderTrainer(),
}


def generators() -> Figure:
    """Draws of every family, trained with its default settings on the ring, and bounds of areas."""
    ring = RingOfEight()
    training, validation, truth = (
        vs.Events(ring.sample(n, SEEDS.at(name).numpy()))
        for name, n in {"training": 4000, "validation": 1000, "truth": 4000}.items()
    )
    shown = {"truth": (truth.x, 1.0)}
    for name, trainer in TRAINERS.items():
        model = trainer.fit(training, validation, SEEDS.at(name)).model
        x = model.sample(4000, SEEDS.at(name, "draws").numpy())
        run = vs.Run(SEEDS.at(name, "area"))
        shown[name] = (x, vs.precision_recall(run, truth, x).auc.value)

    def paint(figure: Figure) -> None:
        flat = figure.subplots(3, 4, sharex=True, sharey=True).ravel()
        for axes, (name, (x, area)) in zip(flat, shown.items(), strict=False):
            axes.plot(*x[:2000].T, ".", ms=1.0, color=style.REFERENCE)
            axes.set_title(name if name == "truth" else f"{name}: ≤ {area:.2f}", fontsize=9)
            axes.set(xlim=(-7, 7), ylim=(-7, 7), aspect="equal")
        for axes in flat[len(shown) :]:
            axes.set_axis_off()

    return style.draw(paint, width=8.4, height=6.6)


def posterior() -> Figure:
    """Draw the expected coverage of an exact posterior, of one too narrow, and of the prior."""
    cases = {"exact": {}, "20 % too narrow": {"width": 0.8}, "the prior": {"prior": True}}

    def paint(figure: Figure) -> None:
        for axes, (name, settings) in zip(
            figure.subplots(1, 3, sharey=True), cases.items(), strict=True
        ):
            draws, truths, x = conjugate(500, 200, SEEDS.at(name).numpy(), **settings)
            _coverage(axes, name, vs.tarp(vs.Run(SEEDS.at(name)), draws, truths, x))

    return style.draw(paint, width=8.4, height=3.1)


def _coverage(axes: Axes, name: str, found: Tarp) -> None:
    for number, each in enumerate(found.references):
        label = "each reference" if number == 0 else None
        axes.plot(each.levels, each.curve - each.levels, color=style.REFERENCE, lw=1, label=label)
    first = found.references[0]
    axes.fill_between(
        first.levels,
        first.low - first.levels,
        first.high - first.levels,
        color=style.TOYS,
        lw=0,
        zorder=0,
        label="95 % of exact posteriors",
    )
    axes.axhline(0.0, color=style.MUTED, lw=1.0)
    axes.set_title(f"{name}: p = {found.p_value.value:.2g}", fontsize=9)
    axes.set_xlabel("credibility level")
    if name == "exact":
        axes.set_ylabel("coverage - level")
        axes.legend(loc="lower left", fontsize=7)


FIGURES: dict[str, Callable[[], Figure]] = {"generators": generators, "posterior": posterior}


def main(names: list[str]) -> None:
    """Write the figures asked for, or all."""
    for name in names or list(FIGURES):
        (OUT / f"{name}.png").write_bytes(style.to_png(FIGURES[name]()))


if __name__ == "__main__":
    main(sys.argv[1:])
