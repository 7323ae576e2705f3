"""Pages for the browser: one of every command, and of samples that are hard to show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

import verisimile as vs
from amplification_values import make_point, make_study
from report_values import FEATURE, make_content, make_summary
from result_kinds import MADE
from verisimile.app.cli import app
from verisimile.core.arrays import Array
from verisimile.data.feature import Feature
from verisimile.report.content import InputSample, NamedAmplification, NamedValidation, ReportInput

TRAINING = ("--members", 3, "--fit-fraction", 0.4, "--epochs", 2, "--layers", 1, "--hidden", 16,
            "--no-discrepancy")  # fmt: skip
SERIAL = ("--executor", "serial")
MODELS = """
import numpy as np
from scipy import stats

density = stats.norm(90.0, 4.8)


class Posterior:
    n_features = n_context = 2

    def log_prob(self, x, context):
        return stats.norm.logpdf(x, context, 0.4).sum(axis=1)

    def sample(self, context, rng):
        return context + 0.4 * rng.normal(size=context.shape)


posterior = Posterior()
"""
STUDY = """
title = "Z to mu mu"
level = 0.05

[samples]
events = "train.parquet"
unseen = 0.3

[fit]
members = 12
epochs = 2
layers = 1
hidden = 16
discrepancy = false

[gof]
toys = 39

[coverage]
datasets = 20

[validate]
tests = ["max-ks", "energy"]
permutations = 99

[amplify]
n_generated = 1000
regions = [5, 10]
"""
SHIFTED = "g_shifted.parquet"
HOSTILE = (
    "<script>alert('x')</script>",
    "a|b `c` **d** # [e](f)",
    r"$\frac{1}{$ and %s {0}",
    "ἄλφα – größe \N{RIGHT-TO-LEFT OVERRIDE}abc\N{POP DIRECTIONAL FORMATTING}",
    "transverse_momentum_of_the_jet_that_is_closest_to_the_leading_muon_" * 4,
    "&amp; \"quotes\" 'and' \\n",
)


def _rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def _sample(names: Sequence[str], n: int, *, shift: float = 0.0, seed: int) -> vs.Events:
    x = _rng(seed).normal(size=(n, len(names)))
    x[:, 0] += shift
    return vs.Events(x, names=names)


def _validation(
    folder: Path, reference: vs.Events, generated: vs.Events, *tests: str, **battery: object
) -> Path:
    """Write the page of a validation of two samples."""
    study = vs.Study.model_validate(
        {"battery": {"tests": tests or ("max-ks",), "permutations": 99, **battery}}
    )
    run = vs.Run(vs.Seeds(1))
    found = vs.validate(run, reference, generated, study=study)
    content = ReportInput(
        validations=(NamedValidation("generated", found),),
        inputs=(
            InputSample.of("reference", "truth.parquet", reference),
            InputSample.of("generated", "generated.parquet", generated),
        ),
        command="verisimile validate truth.parquet generated.parquet",
        title="Validation",
    )
    return vs.write_report(run, content, folder)


def _features(d: int, *, n: int = 400) -> Callable[[Path], Path]:
    names = [f"feature_{number}" for number in range(d)]

    def make(folder: Path) -> Path:
        samples = _sample(names, n, seed=1), _sample(names, n, shift=0.4, seed=2)
        return _validation(folder, *samples, sensitivity=False, support=False)

    return make


def one_feature(folder: Path) -> Path:
    """A single feature, with a unit and a label."""
    reference, generated = (
        vs.Events(_rng(seed).exponential(scale, (500, 1)), features=(FEATURE,))
        for seed, scale in ((1, 20.0), (2, 26.0))
    )
    return _validation(folder, reference, generated, "max-ks", "energy")


def few_events(folder: Path) -> Path:
    """So few events that a bin has three."""
    samples = _sample(("m", "pt"), 40, seed=1), _sample(("m", "pt"), 12, seed=2)
    return _validation(folder, *samples)


def signed_weights(folder: Path) -> Path:
    """Weights of both signs in the generated sample."""
    reference, generated = (_sample(("m", "pt"), 500, seed=seed) for seed in (1, 2))
    weights = np.where(_rng(3).random(500) < 0.15, -1.0, 1.0)
    signed = vs.Events(generated.x, weights=weights, names=generated.names)
    return _validation(folder, reference, signed, "max-ks", "energy")


def hostile_names(folder: Path) -> Path:
    """Names that are markup, mathematics, other scripts, or very long."""
    samples = _sample(HOSTILE, 400, seed=1), _sample(HOSTILE, 400, shift=0.5, seed=2)
    return _validation(folder, *samples, support=False)


def every_part(folder: Path) -> Path:
    """As the demo's page: tests of two samples, places, amplification, training, weights."""
    worth = NamedAmplification("mixture", make_study([make_point(20, 0.1, 0.02)]))
    content = replace(make_content(), amplifications=(worth,), results=(make_summary(),))
    return vs.write_report(vs.Run(vs.Seeds(7)), content, folder)


def every_kind(folder: Path) -> Path:
    """Results of every public kind in one page."""
    return vs.write_report(vs.Run(vs.Seeds(7)), [make() for make in MADE.values()], folder)


ODD: dict[str, Callable[[Path], Path]] = {
    "demo-like": every_part,
    "every-kind": every_kind,
    "one-feature": one_feature,
    "twelve-features": _features(12),
    "fifty-features": _features(50, n=200),
    "few-events": few_events,
    "signed-weights": signed_weights,
    "hostile-names": hostile_names,
}


FEATURES = (Feature("m", unit="GeV"), Feature("pt", unit="GeV", low=0.0))


def _written(x: Array, file: Path, features: Sequence[Feature] = FEATURES) -> Path:
    vs.write_events(vs.Events(x, features=tuple(features)), file)
    return file


def _events(n: int, seed: int, shift: float = 0.0) -> Array:
    rng = _rng(seed)
    return np.column_stack([rng.normal(90.0 + shift, 5.0, n), rng.exponential(20.0, n)])


def inputs(folder: Path) -> Path:
    """Write the samples that the commands below read."""
    for name, n, seed, shift in (
        ("train", 900, 1, 0.0),
        ("truth", 600, 2, 0.0),
        ("same", 600, 3, 0.0),
        ("g_shifted", 600, 4, 2.0),
    ):
        _written(_events(n, seed, shift), folder / f"{name}.parquet")
    for family, shift in (("good", 0.0), ("wide", 1.0)):
        (folder / family).mkdir()
        for member in range(3):
            _written(_events(200, 10 + member, shift), folder / family / f"{member}.parquet")
    rng = _rng(5)
    _written(_events(600, 6)[:, :1], folder / "mass.parquet", FEATURES[:1])
    (folder / "model.py").write_text(MODELS)
    (folder / "study.toml").write_text(STUDY)
    parameters = rng.normal(size=(300, 2))
    observed = parameters + 0.5 * rng.normal(size=(300, 2))
    np.savez(folder / "simulations.npz", truths=parameters, contexts=observed)
    answers = [
        f"r{rater},i{item},{system},{rng.choice(['real', 'generated'], p=[share, 1 - share])}"
        for rater in range(12)
        for item in range(20)
        for system, share in [("fast" if item % 2 else "slow", 0.35)]
    ]
    (folder / "answers.csv").write_text("\n".join(["rater,item,system,answer", *answers]))
    return folder


def _validate(home: Path) -> list[tuple[object, ...]]:
    two = ("validate", home / "truth.parquet")
    quick = ("--tests", "max-ks,energy", "--permutations", 99, *SERIAL)
    return [
        (*two, home / SHIFTED, *quick, "--out", home / "validate"),
        (*two, home / "same.parquet", *quick, "--out", home / "validate-same"),
    ]


COMMANDS: dict[str, Callable[[Path], list[tuple[object, ...]]]] = {
    "validate": _validate,
    "report": lambda home: [
        ("report", home / "validate", home / "validate-same", "--out", home / "report")
    ],
    "fit": lambda home: [
        ("fit", home / "train.parquet", "--out", home / "run", *TRAINING, *SERIAL),
        ("report", home / "run", "--out", home / "fit"),
    ],
    "gof": lambda home: [
        ("gof", home / "run", home / SHIFTED, "--toys", 39, *SERIAL, "--report", home / "gof")
    ],
    "coverage": lambda home: [
        ("coverage", home / "run", "--datasets", 20, *SERIAL, "--report", home / "coverage")
    ],
    "amplify": lambda home: [
        ("amplify", home / "same.parquet", "--holdout", home / "truth.parquet", "--train",
         home / "train.parquet", "--regions", "5,10", *SERIAL, "--out", home / "amplify")
    ],
    "compare": lambda home: [
        ("compare", home / "good", "--against", home / "wide", "--truth", home / "truth.parquet",
         "--score", "published", "--permutations", 19, *SERIAL, "--out", home / "compare")
    ],
    "run": lambda home: [("run", home / "study.toml", *SERIAL, "--out", home / "run-study")],
    "posterior": lambda home: [
        ("posterior", home / "simulations.npz", "--model", f"{home / 'model.py'}:posterior",
         "--draws", 50, "--names", "mass,width", *SERIAL, "--out", home / "posterior")
    ],
    "one-sample": lambda home: [
        ("one-sample", home / "mass.parquet", f"{home / 'model.py'}:density", "--toys", 99,
         *SERIAL, "--out", home / "one-sample")
    ],
    "ratings": lambda home: [
        ("ratings", home / "answers.csv", "--out", home / "ratings")
    ],
    "reweight": lambda home: [
        ("reweight", home / "truth.parquet", home / SHIFTED, "--axis", "m=75:105:10",
         "--permutations", 99, *SERIAL, "--out", home / "reweight")
    ],
    "templates": lambda home: [
        ("templates", home / "run", "--axis", "m=75:105:10", "--events", 600, "--signal",
         home / SHIFTED, "--strength", 20, "--observed", home / "same.parquet",
         "--out", home / "templates")
    ],
    "monitor": lambda home: [
        ("validate", home / first, home / second, "--monitor", home / "nights.state",
         "--out", home / out)
        for first, second, out in (
            ("truth.parquet", "same.parquet", "monitor-first"),
            ("train.parquet", SHIFTED, "monitor"),
        )
    ],
    "arena": lambda home: [
        ("arena", "energy", "max-ks", "--quick", *SERIAL, "--out", home / "arena")
    ],
}  # fmt: skip
"""Commands that write a page, in the order in which they need each other's files."""

PLACES = {"run": "run-study"}
"""Folders of pages where another command has that of its name."""


def run_commands(home: Path) -> dict[str, Path]:
    """Run every command in a folder and return its page."""
    inputs(home)
    for lines in COMMANDS.values():
        for words in lines(home):
            done = CliRunner().invoke(app, [str(word) for word in words])
            assert done.exit_code in (0, 1, 3), done.output
    return {name: home / PLACES.get(name, name) / "report.html" for name in COMMANDS}
