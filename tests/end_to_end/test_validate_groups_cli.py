"""``verisimile validate`` with rows of physics events and with an angle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from verisimile.app.cli import app
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.data.files import write_events

STUDY = """\
[samples]
group = "group"
periodic = ["phi"]
[battery]
tests = ["energy", "max-ks", "interval-scan"]
permutations = 99
sensitivity = false
support = false
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, angle in (("here", 0.0), ("there", 2.0)):
        for role in ("truth", "fast"):
            rng = Seeds(4).at(role).numpy()
            phi = np.repeat(rng.normal(3.0, 1.0, 100), 3) + 0.1 * rng.normal(size=300)
            x = np.column_stack([(phi + angle) % (2.0 * np.pi), rng.normal(size=300)])
            events = Events(x, names=("phi", "m"), group=np.repeat(np.arange(100), 3))
            write_events(events, tmp_path / f"{role}-{name}.csv")
    alone = Events(x, names=("phi", "m"))
    write_events(alone, tmp_path / "alone.csv")
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    return tmp_path


def validated(folder: Path, *words: object) -> tuple[int, Any, str]:
    out = folder / "out"
    arguments = [str(word) for word in (*words, "--out", out, "--executor", "serial")]
    outcome = CliRunner().invoke(app, ["validate", *arguments])
    return (
        outcome.exit_code,
        json.loads((out / "result.json").read_text(encoding="utf-8")),
        outcome.stderr,
    )


def p_values(result: Any) -> list[float]:  # noqa: ANN401
    (named,) = result["content"]["validations"]
    return [test["p_value"]["value"] for test in named["validation"]["tests"]]


def test_study_and_options_say_groups_and_angles(folder: Path) -> None:
    code, here, _ = validated(
        folder, folder / "truth-here.csv", folder / "fast-here.csv",
        "--study", folder / "study.toml",
    )  # fmt: skip
    assert code in (0, 1)
    inputs = here["content"]["inputs"]
    assert [sample["groups"] for sample in inputs] == [100, 100]
    page = (folder / "out" / "report.html").read_text(encoding="utf-8")
    assert "300 in 100 groups" in page
    # The options say the same, and where the angle is cut moves nothing.
    _, there, _ = validated(
        folder, folder / "truth-there.csv", folder / "fast-there.csv",
        "--group", "group", "--periodic", "phi", "--tests", "energy,max-ks,interval-scan",
        "--permutations", 99,
    )  # fmt: skip
    assert p_values(there) == p_values(here)


def test_a_sample_without_groups_has_independent_rows(folder: Path) -> None:
    _, result, err = validated(
        folder, folder / "truth-there.csv", folder / "alone.csv", "--study", folder / "study.toml"
    )
    assert "no column 'group' in the generated sample: its rows are taken as independent" in err
    assert [sample["groups"] for sample in result["content"]["inputs"]] == [100, None]


def test_a_column_in_neither_sample_is_an_error(folder: Path) -> None:
    words = ["validate", str(folder / "alone.csv"), str(folder / "alone.csv"), "--group", "event"]
    outcome = CliRunner().invoke(app, [*words, "--out", str(folder / "none")])
    assert outcome.exit_code == 2
    assert "no column 'event' in any of the samples" in outcome.stderr


@pytest.mark.parametrize("text", ["phi=", "phi=3:1"])
def test_periods_that_mean_nothing_are_an_error(folder: Path, text: str) -> None:
    words = ["validate", str(folder / "alone.csv"), str(folder / "alone.csv"), "--periodic", text]
    outcome = CliRunner().invoke(app, [*words, "--out", str(folder / "none")])
    assert outcome.exit_code == 2
    assert "name=low:high with the ends of one period" in outcome.stderr
