"""Draw the decision figure of which-test.md.

.venv/bin/python docs/make_which_test_figures.py
"""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from verisimile.report import style

OUT = Path(__file__).parent / "figures" / "which-test.png"
# What is there, what is asked, and the answer: a call and what it says.
TREE = {
    "a true and a generated sample": {
        "one law?": ("validate", "a dozen tests, one p-value"),
        "where not?": ("twosample.deviating_windows", "also diagnose_with_classifier: tails"),
        "repeats training events?": ("amplification.memorisation", "an alarm with a p-value"),
        "worth how many events?": ("amplify", "G at each resolution"),
    },
    "samples of several trainings": {
        "which family is better?": ("compare_bands", "a p-value for the whole curve"),
        "what makes them differ?": (
            "checks.precision_recall.variance_parts",
            "data, start, evaluation",
        ),
    },
    "a density with log p(x)": {
        "describes new events?": ("goodness_of_fit", "toys; where by localise"),
        "errors cover?": ("coverage", "contents, moments, quantiles"),
        "describes x given c?": ("goodness_in_context", "bins of the context"),
    },
    "a known truth": {
        "events follow it?": (
            "known_truth.one_sample_tests",
            "KS, Cramér–von Mises; likelihood_test",
        ),
    },
    "a posterior of a network": {
        "covers on average?": ("sbc, tarp", "ranks; balls"),
        "covers here?": ("posterior.local_posterior_test", "at one observation"),
    },
}
_WIDTH = 4.4  # inches: letters keep their size on a page of 400 pixels
_HEAD, _GAP = 0.62, 0.3  # rows


def main() -> None:
    """Draw and write."""
    OUT.write_bytes(style.to_png(style.draw(paint, width=_WIDTH, height=8.2)))


def paint(figure: Figure) -> None:
    """Draw what is there, below it what is asked, and beside that the answer."""
    axes = figure.subplots()
    axes.set_axis_off()
    rows = sum(map(len, TREE.values())) + (_HEAD + _GAP) * len(TREE)
    axes.set(xlim=(0.0, 1.0), ylim=(rows - 0.2, -1.15))
    for x, title in ((0.0, "You have, and ask"), (0.4, "Take vs. …, which gives")):
        axes.text(x, -0.9, title, color=style.MUTED, fontsize=8.5, va="center")
    row = 0.0
    for have, asked in TREE.items():
        axes.text(
            0.0, row - 0.1, have, color=style.REFERENCE, fontsize=9, weight="bold", va="center"
        )
        row += _HEAD
        axes.plot([0.01, 0.01], [row - 0.3, row + len(asked) - 1], color=style.REFERENCE, lw=1.2)
        for question, (name, gives) in asked.items():
            axes.plot([0.01, 0.03], [row, row], color=style.REFERENCE, lw=1.2)
            axes.text(0.045, row, question, fontsize=8, va="center")
            _answer(axes, row, name, gives)
            row += 1
        row += _GAP


def _answer(axes: Axes, y: float, name: str, gives: str) -> None:
    left, right, half = 0.4, 0.998, 0.42
    axes.fill([left, right, right, left], [y - half, y - half, y + half, y + half], color="white",
              ec=style.ALTERNATIVE, lw=1.0, zorder=2)  # fmt: skip
    size = 8 if len(name) < 32 else 7
    axes.text(left + 0.012, y - 0.18, name, fontsize=size, weight="bold", va="center", zorder=3)
    axes.text(left + 0.012, y + 0.2, gives, fontsize=7.5, va="center", zorder=3)


if __name__ == "__main__":
    main()
