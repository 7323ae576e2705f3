"""What a mixture says when it is asked: bin probabilities, and the audit of a sample."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from verisimile.mixture.model import HistogramEstimate
from verisimile.mixture.sampling import SampleAudit
from verisimile.report import style
from verisimile.report.numbers import count, percent, plain_number, rough, shown, value_and_error
from verisimile.report.page import Illustration, Table
from verisimile.report.section import Section, takes

_BINS_SHOWN = 40


@takes(HistogramEstimate)
class Histograms(Section[HistogramEstimate]):
    """Bin probabilities of mixtures."""

    title = "Histogram of a mixture"
    question = "bin probabilities"
    text = (
        "Probability of each bin under the mixture. The errors are those of the weights and of "
        "the finite number of draws; they are correlated from bin to bin."
    )

    def sentence(self, result: HistogramEstimate) -> str:
        """Return how much of the probability the bins hold."""
        error = math.sqrt(max(float(result.covariance.sum()), 0.0))
        total = float(result.values.sum())
        # Bins that hold everything have no error together.
        inside = value_and_error(total, error) if error > 1e-9 else plain_number(total)
        return f"Probability of {count(result.values.size)} bins: {inside}."

    def figures(self) -> Iterator[Illustration]:
        """Yield each histogram."""
        for place, (name, result) in enumerate(self.named, 1):
            yield Illustration(
                name=f"histogram-{place}",
                caption=f"{name}: probability of each bin over its width; shaded: one standard "
                "deviation.",
                alt=f"Histogram: {self.sentence(result)}",
                figure=histogram_figure(result),
            )

    def tables(self) -> Iterator[Table]:
        """Yield a row for each bin."""
        for name, result in self.named:
            rows = zip(
                result.edges[:-1], result.edges[1:], result.values, result.errors, strict=True
            )
            yield Table(
                f"{name}: bins.",
                ("Bin", "Probability ± σ"),
                tuple(
                    (
                        f"{plain_number(float(low))} to {plain_number(float(high))}",
                        value_and_error(float(value), float(error)),
                    )
                    for low, high, value, error in rows
                ),
                folded=result.values.size > _BINS_SHOWN,
            )


def histogram_figure(result: HistogramEstimate) -> Figure:
    """Return bin probabilities over the bins' widths, with one standard deviation."""
    return style.draw(lambda figure: _steps(figure.add_subplot(), result), height=3.4)


def _steps(axes: Axes, result: HistogramEstimate) -> None:
    widths = np.diff(result.edges)
    low, high = ((result.values + side * result.errors) / widths for side in (-1.0, 1.0))
    axes.stairs(high, result.edges, baseline=low, fill=True, color=style.BAND_2)
    axes.stairs(result.values / widths, result.edges, color=style.REFERENCE, lw=1.4)
    axes.set(xlabel="feature", ylabel="density", xlim=(result.edges[0], result.edges[-1]))
    axes.set_ylim(bottom=min(0.0, float(low.min())))


@takes(SampleAudit)
class SampleAudits(Section[SampleAudit]):
    """What samplers of mixtures saw."""

    title = "Sample of a mixture"
    question = "what the sampler saw"
    text = (
        "Events are proposed from the members of positive weight and kept in proportion to the "
        "density of the mixture, whose negative part has to be cut away."
    )
    caption = "Proposals of each sample, and what became of them."
    columns: ClassVar = {
        "Kept": lambda r: percent(r.accepted / max(r.proposed, 1)),
        "Proposed": "proposed",
        "Accepted": "accepted",
        "Sum of positive weights": lambda r: plain_number(r.positive_weight, digits=4),
        "Negative mass": lambda r: (
            "not asked for" if math.isnan(r.negative_mass.value) else shown(r.negative_mass)
        ),
        "Without a density": "undefined",
        "Largest ratio": lambda r: rough(r.bound),
        "Beyond it": lambda r: percent(r.overweight),
    }
