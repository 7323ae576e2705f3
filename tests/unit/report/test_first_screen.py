"""The first screen: worst fault first, Z never more than was tested, warnings by consequence."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import verisimile
from report_values import make_goodness, make_marginal
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.report import consequence as consequences
from verisimile.report.consequence import Consequence, cautions, consequence
from verisimile.report.content import NamedValidation, ReportInput, SampleResult
from verisimile.report.document import document
from verisimile.report.first_screen import banners
from verisimile.report.numbers import z_value
from verisimile.report.page import Page, Question
from verisimile.report.sections.validation_first import validation_leads
from verisimile.report.verdict import Finding, Verdict, decision
from verisimile.stats.pvalues import PValue, add_one
from verisimile.validation.samples import Overlap
from verisimile.validation.study import Study
from verisimile.validation.validate import validate

RUN = Run(Seeds(1))


@pytest.mark.parametrize("toys", [19, 99, 999])
@pytest.mark.parametrize("exceeding", [0, 1, 5])
def test_z_at_the_floor_of_p_is_a_bound_and_never_more(toys: int, exceeding: int) -> None:
    p = add_one(exceeding, toys, null="toys")
    shown = z_value(p)
    assert shown.startswith("> ") == (exceeding == 0)
    assert float(shown.removeprefix("> ").replace("\N{MINUS SIGN}", "-")) <= (
        p.significance.value + (0.0 if exceeding == 0 else 0.005)
    )


@pytest.mark.parametrize(
    ("p", "shown"),
    [
        (PValue(math.nan, 0.0, math.nan, "toys", 99, 0), "NaN"),
        (PValue(0.0, 0.0, 0.01, "toys", 99, 0), "> 2.32"),
        (PValue.exact(0.0), "> 7.03"),
        (PValue.exact(0.5), "0.00"),
        (PValue.exact(1.0), "\N{MINUS SIGN}∞"),
    ],
)
def test_z_of_what_has_none(p: PValue, shown: str) -> None:
    assert z_value(p) == shown


def test_one_banner_for_each_verdict_the_worst_fault_first() -> None:
    p = PValue.exact(0.3)
    found = [
        *(decision(f"good {i}", "x", p, 0.05) for i in range(5)),
        decision("open", "x", PValue.exact(math.nan), 0.05),
        decision("bad", "x", PValue.exact(0.001), 0.05),
        Finding("hidden", "x", Verdict.FAILED, "Not in the line.", headline=False),
    ]
    shown = banners(found)
    assert [banner.mark for banner in shown] == ["failed", "inconclusive", "passed"]
    assert shown[0].sentences == ("bad: rejected: p = 0.001, Z = 3.09.",)
    assert (len(shown[2].sentences), shown[2].more) == (3, 2)
    assert "nothing was compared" in banners([])[0].sentences[0]


def test_warnings_are_grouped_by_what_follows_from_them() -> None:
    texts = [
        "5 random events of each sample were used",
        "something new",
        "no p-value here is valid",
    ]
    found = cautions(texts)
    assert [one.heading for one in found] == [kind.value for kind in Consequence]
    assert [one.texts[0] for one in found] == texts[::-1]
    assert [one.folded for one in found] == [False, False, True]
    # What nobody has classed is not hidden.
    assert consequence("never heard of") is Consequence.LIMITS


def test_every_class_of_warnings_is_of_words_that_are_said() -> None:
    root = Path(verisimile.__file__).parent
    files = [path for path in root.rglob("*.py") if path.name != "consequence.py"]
    said = "".join(path.read_text(encoding="utf-8") for path in files)
    whole = re.sub(r'"\s*f?r?"', "", said)  # strings that go over several lines
    for words in (*consequences._CHANGES, *consequences._INFORMS):
        assert words in whole, words


def test_of_several_samples_the_one_that_fails_leads() -> None:
    bad = SampleResult("bad", (make_goodness(1000.0, digest="b"),), (make_marginal(),))
    good = SampleResult("good", (make_goodness(30.0),), (make_marginal(),))
    page = document(RUN, ReportInput(samples=(good, bad))).page
    assert page.leads[0].words.startswith("bad: excess")
    assert page.leads[0].shown == "z = +2.5"
    assert [banner.mark for banner in page.banners] == ["failed", "passed"]
    assert "Z > 2.32" in page.banners[0].sentences[0]
    # Without histograms the null distribution is the figure.
    bare = document(RUN, ReportInput(samples=(replace(bad, marginals=()),))).page
    assert bare.leads[0].shown == "Z > 2.32"
    assert bare.leads[0].picture is not None
    assert bare.leads[0].picture.name in bare.leading


@pytest.fixture(scope="module")
def copied() -> Page:
    """A generator that returns training events, by the tests that see features."""
    x = np.random.default_rng(4).normal(size=(300, 2))
    battery = {"tests": ["max-ks"], "relabelings": 99, "sensitivity": False, "support": False}
    found = validate(
        RUN,
        Events(x[:100]),
        Events(x[100:200]),
        train=Events(x[100:]),
        study=Study.model_validate({"battery": battery}),
    )
    assert isinstance(found.overlaps[0], Overlap)
    return document(RUN, ReportInput(validations=(NamedValidation("mc", found),))).page


def test_memorised_events_are_an_answer(copied: Page) -> None:
    answers = {answer.question: answer for answer in copied.answers}
    assert answers[Question.MEMORISED].mark == "failed"
    assert "bit by bit 100" in answers[Question.MEMORISED].sentence
    assert ("How many events is it worth?", "verisimile amplify") in copied.unasked
    assert copied.cautions[0].heading == Consequence.CHANGES.value
    assert (
        "100\N{NARROW NO-BREAK SPACE}% of its events are copies" in copied.banners[0].sentences[0]
    )


def test_without_a_scan_the_largest_pull_leads(copied: Page) -> None:
    lead = copied.leads[0]
    assert abs(lead.z) >= max(abs(other.z) for other in copied.leads)
    assert lead.words.startswith("Excess" if lead.z > 0.0 else "Deficit")
    assert "not corrected" in lead.words
    assert lead.picture is not None
    assert lead.picture.glance


def test_of_many_features_three_lead_and_the_rest_is_folded() -> None:
    x = np.random.default_rng(5).normal(size=(60, 14))
    names = [f"f{j}" for j in range(14)]
    y = np.where(np.arange(14) == 9, x[30:] + 2.0, x[30:])
    battery = {"tests": ["interval-scan"], "relabelings": 99, "sensitivity": False}
    study = Study.model_validate({"battery": {**battery, "support": False}})
    found = validate(RUN, Events(x[:30], names=names), Events(y, names=names), study=study)
    leads = [*validation_leads(found, {"f9": "GeV"}, 0.05, mark="failed", number=1)]
    assert [len(leads), leads[0].mark] == [3, "failed"]
    assert leads[0].name.startswith("f9 [GeV], ")
    assert {lead.mark for lead in leads if "Not significant" in lead.words} <= {""}
    page = document(RUN, ReportInput(validations=(NamedValidation("mc", found),))).page
    pairs = [picture for picture in page.pictures if picture.name.startswith("pair")]
    assert pairs[0].name.endswith("f9")
    assert [picture.folded for picture in pairs] == [False] * 12 + [True] * 2
