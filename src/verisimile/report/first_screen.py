"""The first screen of a page: verdict, what matters most, one row for each question."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from verisimile.report.page import Answer, Banner, Lead, Part, Question
from verisimile.report.section import Section
from verisimile.report.verdict import Finding

_WORST = ("failed", "inconclusive", "passed", "measured")
_SENTENCES = 3  # of one banner
_LEADS = 3
_ELSEWHERE = {
    Question.SAME: "verisimile validate",
    Question.WHERE: "verisimile validate",
    Question.MEMORISED: "verisimile amplify --train",
    Question.WORTH: "verisimile amplify",
    Question.VISIBLE: "verisimile validate",
}


def banners(found: Sequence[Finding]) -> tuple[Banner, ...]:
    """Return one banner for each verdict, the worst fault first."""
    shown = [finding for finding in found if finding.headline]
    made = []
    for mark in _WORST:
        said = [_told(finding, shown) for finding in shown if finding.word == mark]
        if said:
            made.append(Banner(mark, tuple(said[:_SENTENCES]), max(len(said) - _SENTENCES, 0)))
    return tuple(made) or (Banner("inconclusive", ("Inconclusive: nothing was compared.",)),)


def _told(finding: Finding, shown: Sequence[Finding]) -> str:
    """Return the conclusion, with its question where another one reads the same without it."""
    alike = [
        other
        for other in shown
        if other.sample == finding.sample and _opening(other) == _opening(finding)
    ]
    if len(alike) == 1 or finding.headline_sentence:
        return finding.banner
    return replace(finding, sample=f"{finding.sample}, {finding.hypothesis}").banner


def _opening(finding: Finding) -> str:
    return finding.sentence.partition(":")[0]


def leads(
    sections: Sequence[Section[Any]], found: Sequence[Finding], parts: Sequence[Part]
) -> tuple[Lead, ...]:
    """Return the three features or regions that matter most, of the worst verdict first.

    Where no section names one, the first figure stands beside the worst conclusion.
    """
    named = [lead for section in sections for lead in section.leads()]
    if named:
        return tuple(sorted(named, key=_badness)[:_LEADS])
    pictures = [picture for part in parts for picture in part.illustrations]
    shown = sorted((each for each in found if each.headline), key=lambda f: _WORST.index(f.word))
    if not pictures:
        return ()
    name = shown[0].sample if shown else parts[0].title
    words = shown[0].sentence if shown else pictures[0].caption
    return (Lead(name, math.nan, words, pictures[0], shown[0].word if shown else ""),)


def _badness(lead: Lead) -> tuple[int, float]:
    place = _WORST.index(lead.mark) if lead.mark in _WORST else len(_WORST)
    return place, -abs(lead.z) if math.isfinite(lead.z) else 0.0


def answers(sections: Sequence[Section[Any]]) -> tuple[Answer, ...]:
    """Return the answers of all sections in the order of the questions.

    Where several sections answer one question, each says which it is.
    """
    order = list(Question)
    given = [(section, answer) for section in sections for answer in section.answers()]
    asked = {question: {s.title for s, a in given if a.question is question} for question in order}
    named = [
        replace(answer, subject=section.title)
        if len(asked[answer.question]) > 1 and not answer.subject
        else answer
        for section, answer in given
    ]
    return tuple(sorted(named, key=lambda answer: order.index(answer.question)))


def unasked(given: Sequence[Answer]) -> tuple[tuple[str, str], ...]:
    """Return the common questions that have no answer here, and the commands that ask them."""
    asked = {answer.question for answer in given}
    commands: dict[str, list[str]] = {}
    for question, command in _ELSEWHERE.items():
        if asked and question not in asked:
            commands.setdefault(command, []).append(question.value)
    return tuple((" ".join(questions), command) for command, questions in commands.items())
