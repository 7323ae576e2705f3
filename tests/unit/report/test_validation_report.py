"""A validation's page says what was found, whatever strange samples and names it is about."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from report_page import Page
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.report.content import NamedValidation, ReportInput
from verisimile.report.document import Document, document, read_report
from verisimile.report.numbers import percent
from verisimile.report.page import Illustration, Table
from verisimile.report.sections.validation_figures import (
    battery_figure,
    correlation_figure,
    pair_figure,
    plane_figure,
)
from verisimile.report.sections.validation_tables import (
    independence_table,
    moment_table,
    validation_summary,
)
from verisimile.report.sections.validation_verdict import judge_validation
from verisimile.report.style import short, to_png
from verisimile.report.verdict import Verdict, overall
from verisimile.report.write import gather, write_report
from verisimile.stats.pvalues import PValue
from verisimile.validation.result import BatteryTest, MetricBound, Validation
from verisimile.validation.study import Study
from verisimile.validation.validate import validate

ODD = ("<b>", "a|b", "$x$", r"$\frac{1}{$", "p_T of the jet that is closest to the muon [GeV]")
N = 500


def _study(*tests: str, **more: object) -> Study:
    values = {"tests": tests, "relabelings": 99, "sensitivity": False, "support": False}
    return Study.model_validate({"battery": values, **more})


def _found(reference: Events, generated: Events, study: Study) -> Validation:
    return validate(Run(Seeds(1)), reference, generated, study=study)


def _normal(d: int, *, n: int = N, seed: int = 1) -> tuple[Array, Array]:
    x = np.random.default_rng(seed).normal(size=(2 * n, d))
    return x[:n], x[n:]


def _written(found: Validation, folder: Path, name: str = "generated") -> Path:
    content = ReportInput(validations=(NamedValidation(name, found),), title="Validation")
    return write_report(Run(Seeds(1)), content, folder).parent


def _document(found: Validation, name: str = "generated") -> Document:
    return document(Run(Seeds(1)), ReportInput(validations=(NamedValidation(name, found),)))


@pytest.fixture(scope="module")
def odd() -> Validation:
    """A bad generator of features whose names no format likes."""
    ours, theirs = _normal(len(ODD))
    theirs[:, 1] += 0.5
    return _found(
        Events(ours, names=ODD),
        Events(theirs, names=ODD),
        _study(
            "max-ks",
            "interval-scan",
            "classifier",
            selections={r"$\foo$ <i>cut</i> whose name is very long indeed": "1 > 0"},
            constraints={"a|b": "1 > 0"},
            thresholds={"auc": {"max": 0.9}, "<i>": {"min": 1.0}},
        ),
    )


@pytest.fixture(scope="module")
def folder(odd: Validation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _written(odd, tmp_path_factory.mktemp("odd"), "fast|<sim>")


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_page_needs_nothing_else(folder: Path, page: Page) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert not page.all("script")
    assert not re.search(r"https?://|url\(|@import", text)
    images = page.all("img")
    whole = 1 + len(ODD) + 1 + 2 + 1
    assert len(images) == 3 + whole  # three features at a glance
    assert all((image["src"] or "").startswith("data:image/png;base64,") for image in images)
    assert len(list((folder / "figures").iterdir())) == whole


def test_page_is_accessible(page: Page) -> None:
    alternatives = [image["alt"] or "" for image in page.all("img")]
    assert all(len(text) > 20 for text in alternatives)
    assert len(set(alternatives)) == len(alternatives)
    assert len(page.all("figcaption")) == len(alternatives)
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(cell["scope"] in ("col", "row") for cell in page.all("th"))
    assert len(page.all("h1")) == 1
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))


def test_names_are_shown_as_they_are(folder: Path, page: Page) -> None:
    for name in (*ODD, "fast|<sim>", r"$\foo$ <i>cut</i>"):
        assert name in page.words, name
    assert not page.all("b")
    assert not page.all("i")
    rows = [
        line
        for line in (folder / "summary.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ]
    assert {row.replace(r"\|", "").count("|") for row in rows} == {9}


def test_page_says_what_was_found_and_where(page: Page, odd: Validation) -> None:
    for needed in (
        "Failed. fast|<sim> is not compatible with the reference, most of all in a|b: p = 0.0",
        "Excess: ",
        "for all intervals together",
        "Same distribution? No.",
        "Where? In a|b.",
        "Not asked here: Memorised? verisimile amplify --train",
        "Largest local deviation: a|b from",
        "500 generated against 500 reference events",
        "Where the samples differ most",
        "AUC on a half that was not trained on",
        "Correlations (pearson)",
        "Efficiencies of selections",
        "Constraints: events that violate them",
        "threshold auc",
        "Nothing is known of '<i>'",
        "All numbers by the names that thresholds",
    ):
        assert needed in page.words, needed
    order = [page.words.index(f"fast|<sim>: {part}") for part in ("tests", "marginals", "classif")]
    assert order == sorted(order)


def test_numbers_are_those_of_the_result(folder: Path, odd: Validation) -> None:
    report = read_report(folder / "result.json")
    (named,) = report.content.validations
    assert judge_validation(named.validation, 0.05, name="x") == judge_validation(
        odd, 0.05, name="x"
    )


def test_loose_validations_have_their_own_title(odd: Validation) -> None:
    assert gather([odd]).title == "Validation"
    assert gather([]).title == "Goodness of fit"


def _p(value: float, n_null: int = 99) -> PValue:
    return PValue(
        value=value, low=0.0, high=min(1.0, 2 * value), null="x", n_null=n_null, n_failed=0
    )


@pytest.fixture(scope="module")
def fine() -> Validation:
    """A validation by one test that finds nothing; tests change what they need."""
    ours, theirs = _normal(1, seed=3)
    found = _found(Events(ours), Events(theirs), _study("max-ks"))
    assert overall(judge_validation(found, 0.05, name="x")) is Verdict.PASSED
    return found


def _verdict(found: Validation) -> tuple[Verdict, str]:
    findings = judge_validation(found, 0.05, name="x")
    return overall(findings), findings[0].sentence


def test_a_statistic_without_value_is_inconclusive(fine: Validation) -> None:
    (test,) = fine.tests
    assert test.outcome is not None
    blank = replace(test, p_value=_p(0.01), adjusted=0.01)
    blank = replace(blank, outcome=replace(test.outcome, observed=math.nan))
    verdict, sentence = _verdict(replace(fine, tests=(blank,), p_value=_p(0.01)))
    assert (verdict, "max-ks" in sentence) == (Verdict.INCONCLUSIVE, True)
    other = BatteryTest("other", "x", _p(0.01), 0.02, None)
    verdict, sentence = _verdict(replace(fine, tests=(blank, other), p_value=_p(0.02)))
    assert (verdict, "other rejects" in sentence) == (Verdict.FAILED, True)
    nan = replace(test, p_value=_p(math.nan), adjusted=math.nan)
    assert _verdict(replace(fine, tests=(nan,), p_value=_p(math.nan)))[0] is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("n", "verdict"), [(2, Verdict.INCONCLUSIVE), (6, Verdict.PASSED)])
def test_too_few_events_to_reject_anything_never_pass(n: int, verdict: Verdict) -> None:
    # Two against two events have six labelings: no p-value is below 1/6.
    ours, theirs = _normal(1, n=n, seed=5)
    found = _found(Events(ours), Events(theirs), _study("max-ks"))
    assert _verdict(found)[0] is verdict


def test_a_required_test_that_is_not_there_is_inconclusive(fine: Validation) -> None:
    found = replace(fine, required=("classifier",))
    findings = judge_validation(found, 0.05, name="x")
    assert [finding.hypothesis for finding in findings] == [
        "all tests together",
        "max-ks",
        "classifier",
    ]
    assert overall(findings) is Verdict.INCONCLUSIVE
    assert _document(found).line == "generated: inconclusive"


def test_a_difference_outweighs_what_is_missing(fine: Validation) -> None:
    worse = (replace(fine.tests[0], p_value=_p(0.01), adjusted=0.01),)
    found = replace(fine, tests=worse, p_value=_p(0.01), required=("classifier",))
    assert _verdict(found)[0] is Verdict.FAILED


@pytest.mark.parametrize(
    ("value", "bound", "sentence"),
    [
        (0.6, MetricBound("m", 0.5, 0.7), "0.6 is within 0.5 to 0.7."),
        (0.5, MetricBound("m", 0.5, None), "0.5 is within at least 0.5."),
        (
            -1.0,
            MetricBound("m", None, -2.0),
            "\N{MINUS SIGN}1 is not within at most \N{MINUS SIGN}2.",
        ),
        (math.inf, MetricBound("m", None, 5.0), "∞ is not within at most 5."),
        (math.nan, MetricBound("m", None, 5.0), "Nothing is known of 'm'; there are m."),
    ],
)
def test_thresholds_are_told_in_words(
    fine: Validation, value: float, bound: MetricBound, sentence: str
) -> None:
    found = replace(fine, metrics={"m": Estimate(value, 0.1)}, bounds=(bound,))
    assert judge_validation(found, 0.05, name="x")[-1].sentence == sentence


def test_a_failed_threshold_is_in_the_headline(fine: Validation) -> None:
    found = replace(fine, metrics={"m": Estimate(2.0, 0.1)}, bounds=(MetricBound("m", None, 1.0),))
    report = _document(found)
    assert report.verdict == "failed"
    assert report.line == "generated: compatible; generated: threshold m failed"


def test_an_interval_without_reference_events_has_no_ratio() -> None:
    ours, theirs = _normal(1)
    gap = ours[np.abs(ours[:, 0] - 0.5) > 0.5][:, :1]
    found = _found(Events(gap), Events(theirs), _study("interval-scan"))
    sentence = judge_validation(found, 0.05, name="x")[0].sentence
    assert "where the reference has nothing" in sentence
    (picture,) = [p for p in _pictures(found) if p.name.startswith("pair")]
    assert "nothing in the reference" in picture.caption
    assert "NaN" not in picture.caption


def _pictures(found: Validation) -> tuple[Illustration, ...]:
    return _document(found).page.pictures


Samples = Callable[[], tuple[Events, Events]]


def signed() -> tuple[Events, Events]:
    """Generated events whose weights sum to less than nothing beyond 2."""
    ours, theirs = _normal(2)
    weights = np.where(theirs[:, 0] > 2.0, -1.0, 1.0)
    return Events(ours), Events(theirs, weights)


def one_feature() -> tuple[Events, Events]:
    rng = np.random.default_rng(2)
    feature = (Feature("pt", unit="GeV", label="$p_T$", low=0.0, transform="log"),)
    first, second = (Events(rng.exponential(s, (N, 1)), features=feature) for s in (20.0, 2.0))
    return first, second


def constant() -> tuple[Events, Events]:
    ours, theirs = _normal(3)
    ours[:, 2] = theirs[:, 2] = 1.0
    theirs[:, 1] = 0.5
    return Events(ours), Events(theirs)


def disjoint() -> tuple[Events, Events]:
    ours, theirs = _normal(2)
    theirs[:, 0] += 500.0
    theirs[0, 1] = 1e12
    return Events(ours), Events(theirs)


def many() -> tuple[Events, Events]:
    names = [f"energy_of_layer_number_{j}_over_all_layers" for j in range(30)]
    first, second = (Events(x, names=names) for x in _normal(30, n=100))
    return first, second


def few() -> tuple[Events, Events]:
    first, second = (Events(x) for x in _normal(2, n=3))
    return first, second


@pytest.mark.parametrize("samples", [signed, one_feature, constant, disjoint, few])
def test_strange_samples_have_a_report(samples: Samples, tmp_path: Path) -> None:
    found = _found(*samples(), _study("max-ks", "interval-scan", "classifier"))
    folder = _written(found, tmp_path)
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    for text in (page.words, (folder / "summary.md").read_text(encoding="utf-8")):
        assert not re.search(r"\bnan\b|\binf\b", text)
    assert len(page.all("img")) >= 2


def test_thirty_features_can_be_read() -> None:
    found = _found(*many(), _study("max-ks"))
    assert found.physics is not None
    assert found.physics.correlations is not None
    figure = correlation_figure(found.physics.correlations)
    assert max(figure.get_size_inches()) < 9.0
    texts = _overlaps(figure)
    assert texts == 0
    (matrix,) = [p for p in _pictures(found) if p.name.startswith("correlations")]
    assert matrix.broad


def _overlaps(figure: Figure) -> int:
    """Return how many labels of the vertical axis touch their neighbours."""
    to_png(figure)
    labels = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert len(labels) == 30
    return sum(a.overlaps(b) for a, b in zip(labels, labels[1:], strict=False))


def _axes_of(found: Validation) -> Iterator[Figure]:
    assert found.physics is not None
    for pair in found.physics.marginals:
        yield pair_figure(pair)


def test_all_points_and_bands_are_in_the_figure() -> None:
    for samples in (signed, one_feature, disjoint):
        found = _found(*samples(), _study("max-ks"))
        assert found.physics is not None
        for pair in found.physics.marginals:
            upper = pair_figure(pair).axes[0]
            low, high = upper.get_ylim()
            for contents in (pair.reference, pair.generated):
                density, error = contents.density(pair.edges)
                assert high >= (density + error).max()
                if upper.get_yscale() == "linear":
                    assert low <= density.min()


def test_no_legend_covers_data() -> None:
    found = _found(*one_feature(), _study("max-ks", "interval-scan"))
    for figure in (*_axes_of(found), battery_figure(found, 0.05)):
        to_png(figure)
        axes = figure.axes[0]
        legend = axes.get_legend()
        assert legend is not None
        assert legend.get_window_extent().y0 >= axes.get_window_extent().y1 - 1.0


def test_a_pair_figure_of_nothing_is_drawn() -> None:
    found = _found(*one_feature(), _study("max-ks"))
    assert found.physics is not None
    (pair,) = found.physics.marginals
    nothing = np.full(pair.ratio.size, math.nan)
    empty = replace(pair, ratio=nothing, ratio_error=nothing, pulls=nothing)
    assert to_png(pair_figure(empty)).startswith(b"\x89PNG")
    assert pair_figure(pair).axes[0].get_xscale() == "log"


def test_steep_planes_have_logarithmic_axes() -> None:
    rng = np.random.default_rng(1)
    x = np.column_stack([rng.lognormal(2.0, 1.5, 4000), rng.normal(91.0, 3.0, 4000)])
    found = _found(Events(x[:2000]), Events(x[2000:]), _study("max-ks"))
    assert found.physics is not None
    (plane,) = found.physics.planes
    axes = plane_figure(plane).axes[0]
    assert {axes.get_xscale(), axes.get_yscale()} == {"log", "linear"}
    # With fewer events there are fewer cells, and not empty ones.
    assert np.isfinite(plane.z).mean() > 0.9
    small = _found(Events(x[:300]), Events(x[300:600]), _study("max-ks"))
    assert small.physics is not None
    assert np.isfinite(small.physics.planes[0].z).mean() > 0.9


def test_small_numbers_keep_their_sign_and_no_other() -> None:
    assert percent(-0.25) == "\N{MINUS SIGN}25\N{NARROW NO-BREAK SPACE}%"
    ours, _ = _normal(1)
    found = _found(Events(ours), Events(ours + 1e-9), _study("max-ks"))
    assert found.physics is not None
    cells = moment_table(found.physics.moments).rows[0][3:]
    assert set(cells) == {"+0.0"}


def test_long_names_are_shortened_in_the_middle() -> None:
    assert short("energy") == "energy"
    assert short("$x$") == r"\$x\$"
    assert short("abcdefghij", 5) == "ab…ij"


def test_tests_that_were_not_made_stand_aside(fine: Validation) -> None:
    refused = BatteryTest("nplm", "x", None, math.nan, None, "signed weights")
    found = replace(fine, tests=(*fine.tests, refused))
    table: Table = validation_summary(NamedValidation("x", found), 0.05)
    assert table.marks == ("passed", "passed", "aside")
    assert table.rows[-1][:5] == ("nplm", "not made", "–", "–", "–")
    assert table.rows[-1][-1] == "Not made: signed weights"


def test_the_page_says_whether_samples_are_independent(tmp_path: Path) -> None:
    x, y = _normal(2, n=400)
    theirs = np.concatenate([x[:200].astype(np.float32), y[:150], y[:50]])
    found = _found(Events(x), Events(theirs), _study("energy"))
    table = independence_table(found)
    rows = {row[0]: row[1] for row in table.rows}
    assert rows["Different rows of the reference sample"] == "400 of 400"
    assert rows["Different rows of the generated sample"].startswith("350 of 400, repeated")
    name = next(row for row in rows if "single precision" in row)
    assert rows[name].startswith("200 (50")
    assert found.alike is not None
    assert found.alike.across > found.alike.expected
    page = _written(found, tmp_path).joinpath("report.html").read_text(encoding="utf-8")
    assert "generated: independence" in page
    assert "more alike than independent samples" in page
    (together, *_) = judge_validation(found, 0.05, name="x")
    assert together.verdict is not Verdict.PASSED
