"""Camel, donut, shells and parabola: amplification by every measure, beside published fits."""

from __future__ import annotations

import verisimile as vs
from published import _amplification_page as page
from published._amplification_figures import FIGURES
from published._amplification_work import GAINS, Plan, measured
from published.registry import Json, Size, Study, shown


def measure(run: vs.Run, size: Size) -> Json:
    """Return the numbers of the study."""
    return {"gains": list(GAINS), **measured(run, Plan.of(size))}


def takeaway(numbers: Json) -> str:
    """Return what the table of studies says."""
    last = numbers["flows"][0]["points"][-1]
    flow = (last["regions"] - 1) * last["scatter"]["inverse"]
    known = " and ".join(f"{1.0 / a:.0f}" for _, a, *_ in page.PUBLISHED.values())
    return (
        f"a of G = a·N^b counts a network's free coefficients (published {known}; our flow "
        f"{shown(flow)}), and b is 1 for every smooth generator; G(c) has bands that hold together"
    )


STUDY = Study(
    name="amplification-of-the-papers",
    letter="f",
    title="Amplification: camel, donut, shells, parabola",
    question="What do published amplification factors measure, and are known ones found?",
    source="VERaiPHY, section 6; S. Bieringer et al., arXiv:2408.00838; toys of A. Butter et al., "
    "SciPost Phys. 10 (2021) 139",
    measure=measure,
    words=page.words,
    takeaway=takeaway,
    figures=FIGURES,
)
