"""Figures and tables show units, labels and kinds: titles, ticks, scales, the bin of zeros."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure

from verisimile.checks.physics.correlations import correlations
from verisimile.checks.physics.histograms import MarginalPair, marginal_pair
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.report import style
from verisimile.report.content import InputSample, ReportInput
from verisimile.report.labels import measured, plain_label, stated_units
from verisimile.report.sections.origin import (
    current_environment,
    feature_table,
    origin_part,
)
from verisimile.report.sections.validation_figures import correlation_figure, pair_figure
from verisimile.report.sections.validation_tables import moment_table, pair_table
from verisimile.validation.samples import gathered_inputs
from verisimile.validation.study import Study
from verisimile.validation.validate import physics_of

Drawn = Callable[..., tuple[MarginalPair, Figure]]


@pytest.fixture
def drawn(rng: np.random.Generator) -> Drawn:
    def pair_of(feature: Feature, law: Callable[[], object]) -> tuple[MarginalPair, Figure]:
        first, second = (
            Events(np.asarray(law(), dtype=float)[:, None], features=[feature]) for _ in range(2)
        )
        (pair,) = marginal_pair(first, second)
        return pair, pair_figure(pair)

    return pair_of


def _ticks(figure: Figure) -> list[str]:
    style.to_png(figure)
    return [text.get_text() for text in figure.axes[1].get_xticklabels()]


def test_an_axis_has_label_and_unit(drawn: Drawn, rng: np.random.Generator) -> None:
    feature = Feature("pt", unit="GeV", label="$p_T$")
    _, figure = drawn(feature, lambda: rng.normal(size=300))
    assert figure.axes[1].get_xlabel() == "$p_T$ [GeV]"


def test_a_paragraph_is_shortened_to_a_title(drawn: Drawn, rng: np.random.Generator) -> None:
    _, figure = drawn(Feature("pt", label="very " * 60 + "long"), lambda: rng.normal(size=300))
    title = figure.axes[1].get_xlabel()
    assert len(title) == 80
    assert title.endswith("long")


def test_decades_have_a_logarithmic_axis(drawn: Drawn, rng: np.random.Generator) -> None:
    pair, figure = drawn(Feature("e", unit="MeV"), lambda: 10.0 ** rng.uniform(-2, 2, 600))
    assert pair.logarithmic
    assert figure.axes[0].get_xscale() == "log"
    assert style.to_png(figure)


def test_a_short_logarithmic_axis_has_plain_numbers(drawn: Drawn, rng: np.random.Generator) -> None:
    _, figure = drawn(Feature("pt", low=25.0), lambda: 25.0 + rng.exponential(20.0, 600))
    assert figure.axes[0].get_xscale() == "log"
    shown = [text for text in _ticks(figure) if text]
    assert {"30", "40", "60", "100"} <= set(shown)
    assert not any("$" in text for text in shown)


def test_an_angle_has_parts_of_pi(drawn: Drawn, rng: np.random.Generator) -> None:
    def law() -> Array:
        return rng.uniform(-math.pi, math.pi, 300)

    _, figure = drawn(Feature("phi", kind="periodic", unit="rad"), law)
    assert {"−π", "−π/2", "0", "π/2", "π"} <= set(_ticks(figure))
    degrees = Feature("phi", kind="periodic", unit="deg", low=-180.0, high=180.0)
    _, figure = drawn(degrees, lambda: np.degrees(law()))
    assert not any("π" in text for text in _ticks(figure))
    assert figure.axes[0].get_xlim() == (-180.0, 180.0)


def test_counts_have_whole_numbers(drawn: Drawn, rng: np.random.Generator) -> None:
    _, figure = drawn(Feature("n", kind="discrete"), lambda: rng.poisson(0.7, 900))
    ticks = [float(text.replace("−", "-")) for text in _ticks(figure)]
    assert all(value == round(value) for value in ticks)


@pytest.mark.parametrize("wide", [False, True])
def test_exact_zeros_have_a_bin_left_of_zero(
    drawn: Drawn, rng: np.random.Generator, wide: bool
) -> None:
    def law() -> object:
        energy = 10.0 ** rng.uniform(-2, 2, 900) if wide else rng.uniform(25.0, 200.0, 900)
        return np.concatenate([np.zeros(300), energy])

    pair, figure = drawn(Feature("e", kind="spike-at-zero"), law)
    assert pair.reference.events[1] == 300
    assert pair.reference.events[2] < 5
    assert figure.axes[0].get_xscale() == ("symlog" if wide else "linear")
    assert figure.axes[0].get_xlim()[0] < 0.0
    points = style.centres(pair.edges, logarithmic=pair.logarithmic)
    assert ((points > pair.edges[:-1]) & (points < pair.edges[1:])).all()
    assert "= 0" in [text.get_text() for text in figure.axes[0].texts]
    assert style.to_png(figure)


def test_a_matrix_has_short_labels_and_else_names(rng: np.random.Generator) -> None:
    features = [
        Feature("pt", unit="GeV", label="$p_T$"),
        Feature("m", label=r"$\frac{1}{$"),
        Feature("q", label="$" + "x" * 80 + "$"),
    ]
    first, second = (Events(rng.normal(size=(200, 3)), features=features) for _ in range(2))
    figure = correlation_figure(correlations(first, second))
    ticks = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert ticks == ["$p_T$", r"\$\frac{1}{\$", "q"]
    assert style.to_png(figure)


def test_tables_have_names_with_units(rng: np.random.Generator) -> None:
    features = [Feature("pt", unit="GeV", label="$p_T$"), Feature("eta")]
    first, second = (Events(rng.normal(size=(200, 2)), features=features) for _ in range(2))
    physics = physics_of(gathered_inputs(first, second, None, Study()), Study())
    assert [row[0] for row in moment_table(physics.moments).rows] == ["pt [GeV]", "eta"]
    assert [row[:2] for row in pair_table(physics.marginals).rows] == [("pt", "GeV"), ("eta", "–")]


def test_units_are_those_of_the_result_then_of_the_inputs() -> None:
    sample = Events([[1.0, 2.0]], features=[Feature("pt", unit="GeV"), Feature("d0", unit="mm")])
    content = ReportInput(inputs=(InputSample.of("reference", "z.csv", sample),))
    units = stated_units(content, [Feature("pt", unit="MeV"), Feature("d0")])
    assert units == {"pt": "MeV", "d0": "mm"}
    assert measured("pt", units["pt"]) == "pt [MeV]"


def test_the_table_of_features_joins_what_the_samples_say() -> None:
    def sample(role: str, feature: Feature) -> InputSample:
        return InputSample.of(role, "z", Events([[1.0]], features=[feature]))

    inputs = (
        sample("reference", Feature("pt", unit="GeV")),
        sample("generated", Feature("pt", label="$p_T^{ll}$")),
    )
    (table,) = [
        table
        for table in origin_part(
            ReportInput(inputs=inputs), current_environment(Run(Seeds(1)))
        ).tables
        if table.caption == "Features."
    ]
    assert table.columns[:3] == ("Feature", "Label", "Unit")
    assert table.rows[0][:3] == ("pt", "p_T^ll", "GeV")
    assert feature_table([Feature("pt")]).columns[:2] == ("Feature", "Unit")


@pytest.mark.parametrize(
    ("label", "plain"),
    [
        ("$p_T^{ll}$", "p_T^ll"),
        (r"$\Delta\phi(\mu, E_T^{\mathrm{miss}})$", "Δφ(μ, E_T^miss)"),
        (r"$\lambda_{\ell}\,$ of \text", "λ_ℓ of"),
        ("plain {text}", "plain {text}"),
        (r"$\unheard x$", "unheardx"),
    ],
)
def test_labels_without_tex(label: str, plain: str) -> None:
    assert plain_label(label) == plain
