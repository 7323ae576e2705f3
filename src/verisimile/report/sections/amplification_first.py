"""Amplification on the first screen: what a generator is worth, and whether it remembers."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from verisimile.checks.amplification.memorisation import Memorisation
from verisimile.checks.amplification.result import Amplification
from verisimile.checks.amplification.study import AmplificationStudy
from verisimile.report import style
from verisimile.report.content import NamedAmplification
from verisimile.report.numbers import count, p_and_z, percent, rough
from verisimile.report.page import Answer, Illustration, Lead, Question

LEVEL = 0.68


def study_sentence(study: AmplificationStudy) -> str:
    """Say the gain at a medium and at the finest resolution: it grows with it."""
    points = study.quantile.points
    middle, finest = points[len(points) // 2], points[-1]
    regions = f"{count(middle.resolution)} regions"
    said = [f"worth {gain_words(middle)} times the training sample at {regions}"]
    if finest is not middle:
        said.append(f"{gain_words(finest)} at {count(finest.resolution)}")
    text = "; ".join(said)
    return f"{text[0].upper()}{text[1:]}."


def gain_words(point: Amplification, level: float = LEVEL) -> str:
    """Return G with its interval, an unbounded one said as such.

    The estimate is 1 over that of 1/G, and stands only where it is positive.
    """
    low, high = point.gain_interval(level)
    if math.isnan(low) or math.isnan(high):
        return "not known"
    if math.isinf(low):
        return "no bound"
    if math.isinf(high):
        return f"at least {rough(low)} (no upper bound)"
    value = point.inverse_gain.value
    if value <= 0.0:
        return f"{rough(low)} to {rough(high)}"
    return f"{rough(1.0 / value)} ({rough(low)} to {rough(high)})"


_SAID = {True: "Yes.", False: "No alarm."}


def generator_leads(
    study: AmplificationStudy, gain: Illustration, *, subject: str, number: int
) -> Iterator[Lead]:
    """Yield the finest resolution with the figure of G, and memorisation, first in an alarm."""
    of = f"{subject}: " if subject else ""
    finest = study.quantile.points[-1]
    yield Lead(
        name=f"{of}{count(finest.resolution)} regions",
        z=gain_z(finest),
        words=f"Worth {gain_words(finest)} times the training sample. z: of 1 \N{MINUS SIGN} 1/G, "
        "positive for more than the training sample.",
        picture=gain,
    )
    if study.memorisation is not None:
        yield _memory(f"{of}distance to training events", study.memorisation, number)


def gain_z(point: Amplification) -> float:
    """Return 1 - 1/G over its error; NaN where there is no error."""
    error = point.inverse_gain.error
    return (1.0 - point.inverse_gain.value) / error if error > 0.0 else math.nan


def _memory(name: str, found: Memorisation, number: int) -> Lead:
    share, expected = found.share, found.expected_share
    z = (share.value - expected) / share.error if share.error > 0.0 else math.nan
    side = "More" if share.value > expected else "Fewer"
    return Lead(
        name=name,
        z=z,
        words=f"{side} of its events are nearer to training than to held-out events than chance "
        f"has: {percent(share.value)}, {percent(expected)} expected. Alarm "
        f"{'yes' if found.alarm else 'no'}: {p_and_z(found.p_value)}.",
        picture=Illustration(
            name=f"glance-memory-{number}",
            caption="Share of generated events nearer to training than to held-out events.",
            alt=f"{percent(share.value)} of generated events are nearer to training than to "
            f"held-out events, beside {percent(expected)} that are expected.",
            figure=_share_figure(found),
            small=True,
            glance=True,
        ),
        mark="failed" if found.alarm else "",
    )


def _share_figure(found: Memorisation) -> Figure:
    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.axvline(found.expected_share, color=style.REFERENCE, ls=(0, (4, 2)), label="expected")
        axes.errorbar(
            [found.share.value], [0.0], xerr=np.array([[found.share.error]] * 2), fmt="o",
            color=style.ALTERNATIVE if found.alarm else style.DATA, label="generated",
            clip_on=False,
        )  # fmt: skip
        axes.set_xlim(0.0, 1.0)
        axes.set_ylim(-1.0, 1.0)
        axes.set_yticks([])
        axes.set_xlabel("share nearer to training events")
        style.legend_above(axes)

    return style.draw(paint, width=3.9, height=1.7)


def generator_answers(named: NamedAmplification, *, subject: str) -> Iterator[Answer]:
    """Yield what the study says on memory and worth."""
    memory = named.study.memorisation
    if memory is not None:
        copies = f" {count(memory.copies)} exact copies." if memory.copies else ""
        yield Answer(
            Question.MEMORISED,
            subject,
            _SAID[memory.alarm],
            f"{percent(memory.share.value)} of generated events are nearer to training than to "
            f"held-out events, {percent(memory.expected_share)} expected; "
            f"{p_and_z(memory.p_value)}.{copies}",
            "failed" if memory.alarm else "passed",
        )
    yield Answer(Question.WORTH, subject, "Measured.", study_sentence(named.study), "measured")
