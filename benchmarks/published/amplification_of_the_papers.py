"""Camel, donut, shells and parabola: amplification by every measure, beside published fits."""

from __future__ import annotations

import verisimile as vs
from published import _amplification_page as page
from published._amplification_work import GAINS, Plan, measured
from published.registry import Json, Size, Study, shown


def measure(run: vs.Run, size: Size) -> Json:
    """Return the numbers of the study."""
    return {"gains": list(GAINS), **measured(run, Plan.of(size))}


def takeaway(numbers: Json) -> str:
    """Return what the table of studies says."""
    exact = {each["size"]: each["exact"] for each in numbers["series"]}
    said = ", ".join(f"{size}: b = {shown(b)}" for size, (_, b) in sorted(exact.items()))
    return (
        "the published fits G = a·N^b are those of any smooth generator with 1/a free "
        f"coefficients ({said}); G(c) has bands that hold in all bins"
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
    figures=page.FIGURES,
)
