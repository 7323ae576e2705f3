"""Families of generators in a report: bands, the samples shown, words, and every page."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection

from report_page import Page
from verisimile.checks.precision_recall.band import Band, precision_recall_band
from verisimile.checks.precision_recall.best import BestScore
from verisimile.checks.precision_recall.comparison import compare_curves
from verisimile.checks.precision_recall.learned_scores import LinearScore
from verisimile.checks.precision_recall.scores import PooledNeighbours
from verisimile.checks.precision_recall.variance import VarianceParts
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate, to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.report.content import FamilyStudy
from verisimile.report.document import read_report
from verisimile.report.numbers import fixed
from verisimile.report.sections.families import (
    family_findings,
    family_part,
    family_pictures,
    family_table,
    variance_sentence,
    variance_table,
)
from verisimile.report.sections.family_figures import (
    band_figure,
    radial_figure,
    recall_figure,
    sample_figure,
    sample_panels,
)
from verisimile.report.style import to_png
from verisimile.report.write import write_report

N, MISSED = 300, 7
RUN = Run(Seeds(1))
TRUTH = Events(np.random.default_rng(1).normal(size=(N, 2)), names=("mass", "pt <x>"))


def samples(shift: float, seed: int) -> list[Array]:
    """Return four samples, the third the best, the last the worst and with missed events."""
    rng = np.random.default_rng(seed)
    found = [rng.normal(k * shift, 1.0, size=(N, 2)) for k in (1.0, 1.0, 0.2, 3.0)]
    found[-1][:MISSED, 1] = np.nan
    found[-1][MISSED] = 50.0
    return found


def band_of(group: list[Array], word: str) -> Band:
    return precision_recall_band(
        RUN.at(word), TRUTH, group, score=BestScore((LinearScore(),)), null_draws=3, angles=41
    )


@pytest.fixture(scope="module")
def study() -> FamilyStudy:
    """Two families with panels and a comparison."""
    groups = [samples(0.3, 2), samples(0.6, 3)]
    bands = (band_of(groups[0], "a"), band_of(groups[1], "b"))
    names = [[f"{word}{i}.parquet" for i in range(4)] for word in "ab"]
    return FamilyStudy(
        names=("a", "b <i>"),
        bands=bands,
        comparison=compare_curves(RUN, *bands, permutations=99),
        panels=sample_panels(TRUTH, groups, bands, names),
    )


def test_the_best_and_the_worst_are_shown_on_the_frame_of_the_truth(study: FamilyStudy) -> None:
    panels, band = study.panels, study.bands[0]
    assert panels is not None
    best, worst = panels.best[0], panels.worst[0]
    assert (best.source, worst.source) == ("a2.parquet", "a3.parquet")
    assert (best.auc, worst.auc) == (band.auc.max(), band.auc.min())
    assert (worst.n, worst.n_missed) == (N, MISSED)
    assert worst.n_outside >= 1
    assert panels.truth.n_missed == 0
    low, high = TRUTH.x.min(axis=0), TRUTH.x.max(axis=0)
    for edges, first, last in zip(panels.edges, low, high, strict=True):
        assert first - 1.0 < edges[0] < edges[-1] < last + 1.0
    inside = samples(0.3, 2)[2]
    x, y = panels.edges
    within = (inside >= [x[0], y[0]]).all(axis=1) & (inside <= [x[-1], y[-1]]).all(axis=1)
    assert best.counts.sum() == within.sum()


def test_captions_have_names_areas_and_counts(study: FamilyStudy) -> None:
    pictures = {each.name: each for each in family_pictures(study, 1)}
    assert list(pictures) == ["bands-1", "recall-1", "radial-1"] + [
        f"sample-{role}-1-{i}" for i in (1, 2) for role in ("truth", "best", "worst")
    ]
    worst = pictures["sample-worst-1-2"].caption
    area = fixed(float(study.bands[1].auc.min()), places=4)
    assert worst.startswith(f"b <i>, smallest area (b3.parquet), {area}: 300 events")
    assert f"{MISSED} not finite" in worst
    assert "not finite" not in pictures["sample-best-1-2"].caption
    assert "colours" in pictures["sample-truth-1-1"].caption
    assert all(each.alt and each.caption.endswith(".") for each in pictures.values())


def test_of_many_features_the_first_two_are_shown_and_said() -> None:
    rng = np.random.default_rng(4)
    truth = Events(rng.normal(size=(N, 3)))
    group = [rng.normal(size=(N, 3)) for _ in range(3)]
    band = precision_recall_band(
        RUN, truth, group, score=PooledNeighbours(), null_draws=0, angles=21
    )
    panels = sample_panels(truth, [group], [band], [["1", "2", "3"]])
    assert [feature.name for feature in panels.features] == ["x0", "x1"]
    shown = {p.name: p for p in family_pictures(FamilyStudy(("a",), (band,), panels=panels), 1)}
    assert "x0 and x1, the first of 3 features." in shown["sample-truth-1-1"].caption


@pytest.mark.parametrize("logarithmic", [False, True])
def test_one_feature_is_a_histogram(logarithmic: bool) -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(4, N, 1)) * (3.0 if logarithmic else 1.0)
    truth, *group = np.exp(x) if logarithmic else x
    band = precision_recall_band(
        RUN, Events(truth), group, score=PooledNeighbours(), null_draws=0, angles=21
    )
    panels = sample_panels(Events(truth), [group], [band], [["1", "2", "3"]])
    figure = sample_figure(panels, panels.worst[0])
    (axes,) = figure.axes
    assert axes.get_xscale() == ("log" if logarithmic else "linear")
    assert panels.worst[0].counts.ndim == 1
    assert to_png(figure).startswith(b"\x89PNG")


def test_as_many_names_as_samples(study: FamilyStudy) -> None:
    with pytest.raises(InputError, match="3 names, 4 samples"):
        sample_panels(TRUTH, [samples(0.3, 2)], study.bands[:1], [["1", "2", "3"]])


def lines(axes: Axes, style: str) -> list[Array]:
    return [np.asarray(x.get_ydata()) for x in axes.lines if x.get_linestyle() == style]


def test_the_radial_figure_shows_the_bands_over_the_unit_square(study: FamilyStudy) -> None:
    upper, strip = radial_figure(study.names, study.bands, study.comparison).axes
    for band, mean, shade in zip(study.bands, lines(upper, "-"), upper.collections, strict=False):
        scale = np.maximum(np.cos(band.theta), np.sin(band.theta))
        assert mean == pytest.approx(scale * band.radial.mean)
        assert isinstance(shade, FillBetweenPolyCollection)
        low = float((scale * band.radial.low).min())
        outline = np.asarray(shade.get_paths()[0].vertices)
        assert outline[:, 1].min() == pytest.approx(low)
        assert upper.get_ylim()[0] < low
    dotted = lines(upper, ":")
    assert len(dotted) == 4
    ends = study.bands[0].radial.mean_low
    assert np.isfinite(dotted[0]).sum() == np.isfinite(ends).sum()
    assert study.comparison is not None
    assert lines(strip, "-")[0] == pytest.approx(study.comparison.p_familywise)
    (alone,) = radial_figure(study.names[:1], study.bands[:1], None).axes
    assert alone.get_xlabel() == strip.get_xlabel()


def test_the_planes_show_the_means(study: FamilyStudy) -> None:
    (axes,) = band_figure(study.names, study.bands).axes
    band = study.bands[0]
    assert lines(axes, "-")[0] == pytest.approx(band.radial.mean * np.sin(band.theta))
    (axes,) = recall_figure(study.names, study.bands).axes
    assert lines(axes, "-")[1] == pytest.approx(study.bands[1].recall.mean)


def test_bounds_are_called_bounds(study: FamilyStudy) -> None:
    (axes,) = band_figure(study.names, study.bands).axes
    assert axes.get_ylabel() == "precision, upper bound"
    assert "upper bound" in radial_figure(study.names, study.bands, None).axes[0].get_ylabel()
    section = family_part(study, 1)
    assert "upper bounds of the true ones" in section.text
    assert "upper bound" in section.tables[0].caption
    findings = tuple(family_findings(study))
    assert findings[0].sentence.startswith("Area at most 0.")
    assert "bounds of the areas" in findings[-1].sentence
    old = tuple(replace(band, thresholds="test half") for band in study.bands)
    published = replace(study, bands=old)
    assert band_figure(study.names, old).axes[0].get_ylabel() == "precision"
    assert "as published" in family_part(published, 1).text
    exact = replace(study, bands=tuple(replace(b, thresholds="exact") for b in old))
    assert "densities are known" in family_part(exact, 1).text


def test_the_table_has_the_areas(study: FamilyStudy) -> None:
    (row, _) = family_table(study).rows
    assert row[4:6] == tuple(
        fixed(float(x), places=4) for x in np.sort(study.bands[0].auc)[[0, -1]]
    )


def parts(**variances: tuple[float, float]) -> VarianceParts:
    found = {name: Estimate(*pair) for name, pair in variances.items()}
    total = sum(part.value for part in found.values())
    levels = {name: 3 for name in found if name != "rest"}
    return VarianceParts(0.9, found, levels, 12, Estimate(total, 0.1))


def test_negative_parts_are_shown_as_they_are(study: FamilyStudy) -> None:
    found = parts(network=(0.04, 0.01), data=(-0.01, 0.02), rest=(0.01, 0.02))
    table = variance_table(replace(study, variances=(found, found)))
    assert table.rows[:4] == (
        ("a", "network", "3", "0.04 ± 0.01", "0.2", "80\N{NARROW NO-BREAK SPACE}%"),
        ("a", "data", "3", "\N{MINUS SIGN}0.01 ± 0.02", "–", "0\N{NARROW NO-BREAK SPACE}%"),
        ("a", "rest", "–", "0.01 ± 0.02", "0.1", "20\N{NARROW NO-BREAK SPACE}%"),
        ("a", "total", "–", "0.04 ± 0.1", "0.2", "–"),
    )
    assert len(table.rows) == 8
    assert {len(row) for row in table.rows} == {len(table.columns)}
    assert variance_sentence(found) == (
        "Uncertainty of one area 0.2; network 80\N{NARROW NO-BREAK SPACE}% of its variance; "
        "within errors of zero: data, rest."
    )
    assert "not resolved by 12 generators" in variance_sentence(parts(rest=(-0.01, 0.02)))


def test_the_variance_is_on_the_page_if_it_was_divided(study: FamilyStudy, tmp_path: Path) -> None:
    found = parts(network=(0.04, 0.01), rest=(0.01, 0.02))
    divided = FamilyStudy(study.names[:1], study.bands[:1], variances=(found,))
    bare, full = family_part(replace(divided, variances=()), 1), family_part(divided, 1)
    assert len(full.tables) == len(bare.tables) + 1
    page = Page(write_report(RUN, [divided], tmp_path).read_text(encoding="utf-8")).words
    assert " ".join(variance_sentence(found).split()) in page
    report = read_report(tmp_path / "result.json")
    assert report.content.families[0].variances == (found,)
    assert "variance" not in report.line


def test_a_band_alone_is_a_section(study: FamilyStudy) -> None:
    bare = family_part(FamilyStudy(study.names[:1], study.bands[:1]), 3)
    assert [each.name for each in bare.illustrations] == ["bands-3", "recall-3", "radial-3"]
    assert "Below" not in bare.illustrations[2].caption


def test_the_page_is_small_and_complete(study: FamilyStudy, tmp_path: Path) -> None:
    text = write_report(RUN, [study], tmp_path).read_text(encoding="utf-8")
    assert len(text) < 1_000_000
    assert "<i>" not in text
    assert not re.search(r"https?://|url\(|@import|<script", text)
    assert "<h1>Precision and recall</h1>" in text
    images = Page(text).all("img")
    assert len(images) == len(list((tmp_path / "figures").iterdir())) == 9
    assert all(image["alt"] for image in images)
    (read,) = read_report(tmp_path / "result.json").content.families
    assert to_dict(read) == to_dict(study)
