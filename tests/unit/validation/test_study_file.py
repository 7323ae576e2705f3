"""A study file is right as a whole, or all that is wrong with it is said at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from verisimile.core.errors import InputError
from verisimile.validation.study import Study, checked_study, read_study

TOML = """
title = "Nightly"
level = 0.01

[samples]
reference = "truth.parquet"
features = ["m", "pt"]
cut = "m > 60"

[battery]
tests = ["energy", "classifier"]
required = ["classifier"]
permutations = 199

[observables]
log_pt = "log(pt)"

[thresholds]
auc = { max = 0.55 }
"chi2/m" = { max = 2.0 }
"""
YAML = """
title: Nightly
level: 0.01
samples:
  reference: truth.parquet
  features: [m, pt]
  cut: m > 60
battery:
  tests: [energy, classifier]
  required: [classifier]
  permutations: 199
observables:
  log_pt: log(pt)
thresholds:
  auc: {max: 0.55}
  chi2/m: {max: 2.0}
"""


def _file(folder: Path, text: str, name: str = "study.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_toml_and_yaml_say_the_same(tmp_path: Path) -> None:
    study = read_study(_file(tmp_path, TOML))
    assert study == read_study(_file(tmp_path, YAML, "study.yaml"))
    assert study.battery.permutations == 199
    assert study.thresholds["auc"].max == 0.55
    assert study.seed == Study().seed


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "studies"
    folder.mkdir()
    study = read_study(_file(folder, 'functions = "own.py"\n' + TOML))
    assert study.samples.reference == str(folder / "truth.parquet")
    assert study.samples.generated is None
    assert study.functions == str(folder / "own.py")


def test_an_empty_file_is_the_default_study(tmp_path: Path) -> None:
    assert read_study(_file(tmp_path, "", "study.yml")) == Study()


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        checked_study(
            {
                "titel": "x",
                "level": 1.5,
                "samples": {"feature": ["m"], "cut": "import os"},
                "battery": {"tests": ["energy", "eneergy"], "permutations": 3},
                "observables": {"a": "1 +", "b": "__import__('os')"},
                "thresholds": {"auc": {}, "fpd": {"min": 2.0, "max": 1.0}},
            }
        )
    message = str(caught.value)
    for needed in (
        "titel: unknown key. Did you mean 'title'?",
        "level: Input should be less than 1, got 1.5",
        "samples.feature: unknown key. Did you mean 'features'?",
        "battery.permutations: Input should be greater than or equal to 19, got 3",
        "thresholds.auc: needs min, max or both",
        "thresholds.fpd: min 2 is above max 1",
        "samples.cut: ",
        "battery.tests: no test is called eneergy",
        "observables: a: ",
        "; b: ",
    ):
        assert needed in message, needed


@pytest.mark.parametrize(
    ("values", "needed"),
    [
        ({"battery": {"tests": ["eneergy"]}}, "no test is called eneergy"),
        ({"battery": {"tests": ["energy", "energy"]}}, "named twice"),
        (
            {"battery": {"tests": ["energy"], "required": ["classifier"]}},
            "required, but not among the tests: classifier",
        ),
        ({"samples": {"features": []}}, "features: an empty list"),
        ({"observables": {"a": "1 +", "b": "open(x)"}}, "a: "),
        ({"observables": {"a": "1 +", "b": "open(x)"}}, "b: "),
        ({"constraints": {"c": "m +"}}, "c: "),
        ({"samples": {"cut": "m ="}}, "cut: "),
    ],
)
def test_faults_beyond_types(values: dict[str, object], needed: str) -> None:
    with pytest.raises(InputError, match="fault") as caught:
        checked_study(values)
    assert needed in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("study.toml", "level = = 1"),
        ("study.yaml", "level: [1"),
        ("study.yaml", "- a list"),
        ("study.json", "{}"),
        ("study.yaml", "!!python/object/apply:os.getcwd []"),
    ],
)
def test_unreadable_files_are_named(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(InputError, match=r"study\."):
        read_study(_file(tmp_path, text, name))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_study(tmp_path / "none.toml")
