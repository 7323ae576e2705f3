"""Every kind of result that a public function returns has a place in a report, whole."""

from __future__ import annotations

import dataclasses
import inspect
import json
import pkgutil
import types
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import get_args, get_type_hints
from xml.etree import ElementTree

import pytest

import verisimile as vs
from report_page import Page
from result_kinds import MADE, RUN
from verisimile.checks.amplification.analytic import analytic, analytic_observables
from verisimile.checks.amplification.averaging import averaging
from verisimile.checks.amplification.calibrated_errors import calibrate_errors
from verisimile.checks.amplification.kolmogorov import kolmogorov
from verisimile.checks.amplification.quadratic import quadratic
from verisimile.checks.amplification.quantile import quantile
from verisimile.core import result
from verisimile.core.result import schema_of, to_dict
from verisimile.report.document import Document, document, read_report
from verisimile.report.section import known_sections
from verisimile.report.write import gather, write_document, write_report

MEASURES = (
    analytic, analytic_observables, averaging, calibrate_errors, kolmogorov, quadratic, quantile,
)  # fmt: skip
ROOMS = (
    "amplification", "classifier", "coverage", "goodness", "known_truth", "posterior", "ratings",
    "precision_recall", "support", "twosample",
)  # fmt: skip


def public_kinds() -> set[type]:
    """Return the registered classes that are public, or that public functions return."""
    rooms = [vs, *(import_module(f"verisimile.checks.{room}") for room in ROOMS)]
    public = [getattr(room, name) for room in rooms for name in getattr(room, "__all__", ())]
    methods = (each for kind in filter(inspect.isclass, public) for each in _methods(kind))
    functions: list[types.FunctionType] = [
        *filter(inspect.isfunction, (*public, *MEASURES)),
        *methods,
    ]
    returned = (leaf for f in functions for leaf in _leaves(_returned(f)))
    classes = filter(inspect.isclass, (*public, *returned))
    # A whole report, which is read and not put into another.
    return {kind for kind in classes if schema_of(kind) is not None} - {Document}


def _methods(kind: type) -> Iterator[types.FunctionType]:
    """Yield the public methods of a public class, and what makes its properties."""
    for name, member in inspect.getmembers(kind):
        function = member.fget if isinstance(member, property) else member
        if not name.startswith("_") and inspect.isfunction(function):
            yield function


def _returned(function: types.FunctionType) -> object:
    """Return the annotation of what a function returns, its other ones left unread."""
    hint = function.__annotations__.get("return")
    only = types.FunctionType(function.__code__, function.__globals__)
    only.__annotations__ = {"return": hint}
    try:
        return get_type_hints(only).get("return")
    except NameError:  # named for the type checker alone: arrays, tensors
        return None


def _leaves(hint: object) -> Iterator[object]:
    arguments = get_args(hint)
    if not arguments:
        yield hint
    for argument in arguments:
        yield from _leaves(argument)


def test_every_public_kind_has_a_section_and_a_case_here() -> None:
    kinds = public_kinds()
    assert len(kinds) >= 40
    taken = {kind for section in known_sections() for kind in section.kinds}
    assert not {kind.__name__ for kind in kinds - taken}
    assert not {kind.__name__ for kind in kinds} - MADE.keys()


# Registered so that they can be kept, and never handed to anybody as a result.
KEPT = {
    "ConditionalDiscrepancyFit": "of a conditional mixture, in its run folder",
    "FitStudy": "how a run folder was made",
}


def test_every_registered_class_has_a_section_or_is_part_of_what_has_one() -> None:
    for module in pkgutil.walk_packages(vs.__path__, "verisimile."):
        import_module(module.name)
    on_pages = {kind for section in known_sections() for kind in section.kinds}
    waiting = [*on_pages, Document]
    while waiting:
        kind = waiting.pop()
        on_pages.add(kind)
        parts = (leaf for hint in get_type_hints(kind).values() for leaf in _leaves(hint))
        waiting += [
            part
            for part in parts
            if isinstance(part, type) and dataclasses.is_dataclass(part) and part not in on_pages
        ]
    alone = {
        kind.__name__
        for kind, _ in result._CLASSES.values()
        if kind.__module__.startswith("verisimile.")  # others' are of the tests beside this one
        and not any(issubclass(kind, known) for known in on_pages)
    }
    assert alone == KEPT.keys()


def test_no_two_sections_take_one_kind() -> None:
    kinds = [kind for section in known_sections() for kind in section.kinds]
    assert len(set(kinds)) == len(kinds)


@pytest.fixture(scope="module", params=sorted(MADE))
def report(request: pytest.FixtureRequest) -> Document:
    return document(RUN, gather(MADE[request.param]()))


@pytest.fixture(scope="module")
def folder(report: Document, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_document(report, tmp_path_factory.mktemp("kind")).parent


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def _squeezed(text: str) -> str:
    return " ".join(text.split())


def test_the_page_has_title_rows_and_numbers(report: Document, page: Page) -> None:
    parts = report.page.parts[:-1]
    assert parts
    assert report.content.title in page.words
    for part in parts:
        assert part.title
        assert _squeezed(part.title) in page.words
        assert part.tables
    for table in (*report.summaries, *(table for part in parts for table in part.tables)):
        assert table.rows
        assert all(table.columns), table.caption
        for row in table.rows:
            assert len(row) == len(table.columns)
            assert all(_squeezed(text) in page.words for text in row)
    assert len(page.all("caption")) == len(page.all("table"))


def test_figures_have_words(report: Document, page: Page, folder: Path) -> None:
    pictures = report.page.pictures
    images = page.all("img")
    assert [image["alt"] for image in images] == [picture.alt for picture in pictures]
    assert all(len(image["alt"] or "") > 20 for image in images)
    assert all(picture.caption.endswith(".") for picture in pictures)
    whole = [picture for picture in pictures if not picture.glance]
    assert len(list(folder.glob("figures/*.pdf"))) == len(whole)
    assert len({picture.name for picture in pictures}) == len(pictures)


def test_the_first_screen_has_verdict_and_worst_figure(report: Document, page: Page) -> None:
    """Nothing but heading, banners and contents stands before what matters most."""
    shown = report.page
    order = [tag for tag, _ in page.tags if tag in ("h1", "img", "h2", "h3", "table", "dl")]
    assert order[0] == "h1"
    classes = [attributes.get("class") or "" for _, attributes in page.tags]
    assert f"verdict {shown.banners[0].mark}" in classes
    assert shown.banners[0].sentences[0]
    if not shown.pictures:
        return
    assert order[1] == "img"
    (worst, *others) = shown.leads
    assert len(others) <= 2
    assert worst.picture is not None or others[0].picture is not None
    first = page.words[: page.words.rindex("Table of tests")]
    for text in (shown.banners[0].sentences[0], worst.name, worst.shown, worst.words):
        assert _squeezed(text) in first
    if "warnings" in classes:
        assert classes.index("warnings") > next(i for i, c in enumerate(page.tags) if c[0] == "img")


def test_machines_read_the_same(report: Document, folder: Path) -> None:
    data = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert data["verdict"] == report.verdict
    assert [each["sentence"] for each in data["conclusions"]] == [
        finding.sentence for finding in report.findings
    ]
    assert ("results" in data["content"]) == bool(report.content.results)
    cases = ElementTree.parse(folder / "junit.xml").getroot().findall(".//testcase")
    names = [finding.hypothesis for finding in report.findings] or ["nothing"]
    assert [case.get("name") for case in cases] == names
    summary = (folder / "summary.md").read_text(encoding="utf-8")
    assert summary.count("\n| ") == sum(2 + len(table.rows) for table in report.summaries)


def test_it_is_read_back_and_written_again(folder: Path, tmp_path: Path) -> None:
    report = read_report(folder / "result.json")
    assert all(schema_of(type(result)) is not None for result in report.content.results)
    write_document(report, tmp_path)
    for path in folder.rglob("*.*"):
        assert (tmp_path / path.relative_to(folder)).read_bytes() == path.read_bytes(), path.name


def test_results_of_many_kinds_go_into_one_report(tmp_path: Path) -> None:
    kinds = ["PValue", "TwoSample", "FrechetDistance", "InceptionScore", "Goodness", "Agreement"]
    write_report(RUN, [MADE[kind]() for kind in kinds], tmp_path)
    report = read_report(tmp_path / "result.json")
    # Verdicts of results that stand alone are in one table, goodness of fit has its own.
    assert len(report.summaries) == 2
    assert {to_dict(result)["schema"] for result in report.content.results} == {
        "verisimile.p-value/1",
        "verisimile.two-sample/1",
        "verisimile.frechet-distance/1",
        "verisimile.inception-score/1",
        "verisimile.agreement/1",
    }
