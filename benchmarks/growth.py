"""How the stages grow: CPU seconds against events, features, members and relabelings.

One thread, medians of three; the exponent of a power law through all points of a row, least
squares in the logarithms.  Two-sample tests have the settings of the battery.  Small sizes are
dominated by what does not grow, so exponents lie below the limit: one in n and B, two in M.
Written as ``docs/figures/growth.png``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import verisimile as vs
from verisimile.checks.twosample.statistics.protocol import entries
from verisimile.core.arrays import Array
from verisimile.density.flows.spline import SplineFlow
from verisimile.density.flows.trainer import SplineFlowTrainer

FIGURE = Path(__file__).resolve().parents[1] / "docs" / "figures" / "growth.png"
BATTERY = ("energy", "mmd", "sliced-wasserstein", "sliced-ks", "interval-scan", "nplm")
LIMITS = {"n": 1.0, "d": 2.0, "M": 2.0, "B": 1.0}


@dataclass
class Curve:
    """CPU seconds of one stage against one size."""

    stage: str
    letter: str
    sizes: Sequence[int]
    work: Callable[[int], Callable[[], object]]
    seconds: list[float] = field(default_factory=list)

    def measure(self) -> None:
        """Take the medians of three calls at each size, after one that is not counted."""
        for size in self.sizes:
            call = self.work(size)
            call()
            times = []
            for _ in range(3):
                started = time.process_time()
                call()
                times.append(time.process_time() - started)
            self.seconds.append(float(np.median(times)))

    @property
    def exponent(self) -> float:
        """The fitted power."""
        return float(np.polyfit(np.log(self.sizes), np.log(self.seconds), 1)[0])


def normal(n: int, d: int) -> Array:
    """Return correlated normal events."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, d))
    x[:, 1:] += 0.5 * x[:, :-1]
    return x


def training(n: int, d: int = 4) -> Callable[[], object]:
    """Train one member for an epoch."""
    events, trainer = vs.Events(normal(n + 200, d)), SplineFlowTrainer(epochs=1)
    return lambda: trainer.fit(events[:n], events[n:], vs.Seeds(1))


def flow(d: int = 4) -> SplineFlow:
    """Return a briefly trained flow."""
    events = vs.Events(normal(1200, d))
    return SplineFlowTrainer(epochs=1).fit(events[:1000], events[1000:], vs.Seeds(1)).model


def density(n: int, d: int = 4) -> Callable[[], object]:
    """Evaluate one flow."""
    model, x = flow(d), normal(n, d)
    return lambda: model.log_prob(x)


def sampling(n: int, d: int = 4) -> Callable[[], object]:
    """Draw from one flow."""
    model = flow(d)
    return lambda: model.sample(n, np.random.default_rng(1))


def weights(n: int = 20_000, members: int = 16) -> Callable[[], object]:
    """Fit the weights of analytic members."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=n)
    means, widths = rng.normal(0, 0.3, members), rng.uniform(0.7, 1.4, members)
    logf = -0.5 * ((x[:, None] - means) / widths) ** 2 - np.log(widths)
    return lambda: vs.fit_weights(logf)


def relabelings(statistic: object, n: int = 12_000, count: int = 99) -> Callable[[], object]:
    """Test two samples of one law."""
    x, y = vs.Events(normal(n, 4)), vs.Events(normal(n + 1, 4)[1:])
    return lambda: vs.two_sample(vs.Run(vs.Seeds(1)), x, y, statistic=statistic, permutations=count)


def curves() -> list[Curve]:
    """Return all that is measured."""
    many, features, members = (4_000, 16_000, 64_000), (2, 4, 8, 16), (4, 16, 64)
    found = [
        Curve("training, an epoch", "n", many, training),
        Curve("training, an epoch", "d", features, lambda d: training(8_000, d)),
        Curve("log-density of a flow", "n", many, density),
        Curve("log-density of a flow", "d", features, lambda d: density(16_000, d)),
        Curve("sampling a flow", "n", many, sampling),
        Curve("sampling a flow", "d", features, lambda d: sampling(16_000, d)),
        Curve("weight fit", "n", many, weights),
        Curve("weight fit", "M", members, lambda m: weights(members=m)),
    ]
    for name in BATTERY:
        test, sizes = entries()[name].statistic, (8_000, 24_000, 72_000)
        found += [
            Curve(name, "n", sizes, lambda n, t=test: relabelings(t, n)),
            Curve(name, "B", (99, 399, 1599), lambda b, t=test: relabelings(t, count=b)),
        ]
    return found


def draw(measured: Sequence[Curve]) -> None:
    """Write the figure: one panel per size."""
    letters = list(dict.fromkeys(curve.letter for curve in measured))
    figure = Figure(figsize=(3.6 * len(letters), 5.0), layout="constrained")
    axes = figure.subplots(1, len(letters), sharey=True)
    for axis, letter in zip(axes, letters, strict=True):
        for curve in measured:
            if curve.letter == letter:
                name = f"{curve.stage}: {letter}^{curve.exponent:.2f}"
                axis.loglog(curve.sizes, curve.seconds, "o-", label=name)
        ticks = sorted(
            {size for curve in measured if curve.letter == letter for size in curve.sizes}
        )
        shown = [size for i, size in enumerate(ticks) if i == 0 or size >= 1.8 * ticks[i - 1]]
        axis.set_xticks(shown, [str(size) for size in shown])
        axis.minorticks_off()
        axis.set_xlabel(letter)
        axis.legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    axes[0].set_ylabel("CPU seconds")
    figure.savefig(FIGURE, dpi=110)


def main() -> None:
    """Print one row per stage and size, and draw them."""
    measured = curves()
    print(f"{'stage':24} {'size':5} {'exponent':>8} {'limit':>5}  CPU seconds")
    for curve in measured:
        curve.measure()
        points = ", ".join(
            f"{size}: {seconds:.3g}"
            for size, seconds in zip(curve.sizes, curve.seconds, strict=True)
        )
        limit = LIMITS[curve.letter]
        print(
            f"{curve.stage:24} {curve.letter:5} {curve.exponent:8.2f} {limit:5.0f}  {points}",
            flush=True,
        )
    draw(measured)


if __name__ == "__main__":
    main()
