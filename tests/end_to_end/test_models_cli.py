"""Other models than spline flows from the shell: trainers, and samplers in a user's file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from verisimile.app.cli import app
from verisimile.data.events import Events
from verisimile.data.files import read_events, write_events

_MODEL = """
import numpy as np

def my_sampler(n, rng):
    return np.column_stack([rng.normal(90, 5, n), rng.exponential(20, n)])

class Narrow:
    n_features = 2
    names = ("pt", "m")

    def sample(self, n, rng):
        return my_sampler(n, rng)[:, ::-1] * [1, 0.5] + [0, 45]

narrow = Narrow()

def made():
    return Narrow()

def without_generator(n):
    return np.zeros((n, 2))

def three(n, rng):
    return rng.normal(size=(n, 3))
"""

_SERIAL = ("--placements", 1, "--executor", "serial")
_QUICK = """
[battery]
tests = ["energy"]
permutations = 39
sensitivity = false
physics = false
support = false
"""


def _run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def _draw(n: int, seed: int) -> Events:
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(90, 5, n), rng.exponential(20, n)])
    return Events(x, names=("m", "pt"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_events(_draw(400, 1), tmp_path / "train.parquet")
    write_events(_draw(150, 2), tmp_path / "test.parquet")
    (tmp_path / "model.py").write_text(_MODEL, encoding="utf-8")
    (tmp_path / "quick.toml").write_text(_QUICK, encoding="utf-8")
    return tmp_path


def test_a_run_of_another_trainer_goes_on(folder: Path) -> None:
    fit = ("fit", folder / "train.parquet", "--out", folder / "run", "--members", 4, "--executor")
    kde = ("serial", "--trainer", "kernel-density", "--set", "bandwidth=scott", "--no-discrepancy")
    code, out, err = _run(*fit, *kde)
    assert code == 0, err
    assert "Weights fitted on 400 events" in out
    study = json.loads((folder / "run" / "fit.json").read_text(encoding="utf-8"))
    assert study["configuration"]["trainer"]["bandwidth"] == "scott"
    code, _, err = _run(*fit, *kde[:3], "--set", "bandwidth=0.3", "--no-discrepancy")
    assert code != 0
    assert 'trainer.bandwidth: "scott" there, 0.3 now' in err
    code, out, err = _run(
        "gof", folder / "run", folder / "test.parquet", "--toys", 19, "--kernels", 5, *_SERIAL
    )
    assert code in (0, 1), err
    sample = ("sample", folder / "run", "-n", 50, "--out", folder / "drawn.parquet")
    assert _run(*sample)[0] == 0


def test_members_without_a_density_are_sampled_and_not_weighted(folder: Path) -> None:
    run = folder / "gan"
    fit = ("fit", folder / "train.parquet", "--out", run, "--executor", "serial")
    gan = ("--members", 2, "--trainer", "gan", "--set", "epochs=2", "--set", "hidden=8")
    code, out, err = _run(*fit, *gan)
    assert code == 0, err
    assert "draw events and know no density" in out
    code, out, err = _run("sample", run, "-n", 100, "--out", folder / "drawn.parquet")
    assert code == 0, err
    drawn = read_events(folder / "drawn.parquet")
    assert drawn.names == ("m", "pt")
    assert drawn.n == 100
    _run("sample", run, "-n", 100, "--out", folder / "again.parquet")
    assert read_events(folder / "again.parquet").digest == drawn.digest
    for command in (("gof", run, folder / "test.parquet"), ("coverage", run)):
        code, _, err = _run(*command)
        assert code == 2
        assert "know no density" in err
        assert "verisimile validate" in err
    assert _run("inspect", run)[0] == 0
    code, _, err = _run(*fit, *gan, "--folds", 2)
    assert code == 2
    assert "no weights to fit" in err


def test_a_conditional_density_is_tested_in_bins_of_its_condition(folder: Path) -> None:
    run, test = folder / "given", folder / "test.parquet"
    fit = ("fit", folder / "train.parquet", "--out", run, "--executor", "serial", "--members", 2)
    tiny = ("--epochs", 2, "--layers", 1, "--hidden", 8, "--bins", 4)
    code, _, err = _run(*fit, *tiny, "--given", "pt")
    assert code == 2
    assert "--fit-fraction 0.4" in err
    code, out, err = _run(*fit, *tiny, "--given", "pt", "--fit-fraction", 0.4)
    assert code == 0, err
    assert "Weights fitted on 160 events" in out
    gof = ("gof", run, test, "--bins", 1, "--toys", 19, "--kernels", 5, "--report", folder / "r")
    code, out, err = _run(*gof, *_SERIAL)
    assert code in (0, 1), err
    result = json.loads((folder / "r" / "result.json").read_text(encoding="utf-8"))
    assert result["content"]["results"][0]["feature"] == "pt"
    code, _, err = _run("coverage", run)
    assert code == 2
    assert "one given pt" in err
    sample = ("sample", run, "-n", 40, "--out", folder / "c.parquet")
    assert _run(*sample)[0] == 2
    code, _, err = _run(*sample, "--contexts", test)
    assert code == 0, err
    drawn = read_events(folder / "c.parquet")
    assert set(drawn.column("pt")) <= set(read_events(test).column("pt"))
    assert _run("inspect", run)[0] == 0


def test_a_wrong_setting_is_told_before_anything_is_read(folder: Path) -> None:
    fit = ("fit", folder / "none.parquet", "--out", folder / "run")
    code, _, err = _run(*fit, "--trainer", "zuko", "--set", "precision=float64")
    assert code == 2
    assert "no setting of the trainer 'zuko'" in err
    code, _, err = _run(*fit, "--epochs", 3, "--set", "epochs=4")
    assert code == 2
    assert "one of the two" in err
    assert not (folder / "run").exists()
    code, out, _ = _run("fit", "--trainers")
    assert code == 0
    assert "kernel-density" in out
    assert "tolerance" in out


def _validated(folder: Path, name: str, *more: object) -> tuple[int, str, str]:
    return _run(
        "validate",
        folder / "train.parquet",
        f"{folder / 'model.py'}:{name}",
        "--out",
        folder / name,
        "--study",
        folder / "quick.toml",
        "--executor",
        "serial",
        *more,
    )


def test_a_sampler_in_a_file_is_validated_and_named(folder: Path) -> None:
    code, _, err = _validated(folder, "my_sampler", "--size", 500, "--seed", 5)
    assert code == 0, err
    result = json.loads((folder / "my_sampler" / "result.json").read_text(encoding="utf-8"))
    (source,) = [
        each["source"] for each in result["content"]["inputs"] if each["role"] == "generated"
    ]
    assert "my_sampler, 500 events drawn with seed 5, columns m, pt" in source
    drawn = read_events(folder / "my_sampler" / "generated.parquet")
    assert _validated(folder, "my_sampler", "--size", 500, "--seed", 5)[0] == 0
    again = read_events(folder / "my_sampler" / "generated.parquet")
    assert again.digest == drawn.digest


def test_an_object_of_a_file_names_its_columns(folder: Path) -> None:
    """Its first column is pt: read in the order of the reference both would be wrong."""
    assert _validated(folder, "narrow")[0] == 1
    drawn = read_events(folder / "narrow" / "generated.parquet")
    assert drawn.n == 400
    assert float(drawn.column("m").std()) == pytest.approx(2.5, rel=0.3)
    assert _validated(folder, "made", "--dry-run")[0] == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent", "my_sampler"),
        ("without_generator", "(n, rng)"),
        ("three", "the 2 columns m, pt, in this order"),
    ],
)
def test_what_is_no_sampler_is_refused(folder: Path, name: str, message: str) -> None:
    code, _, err = _validated(folder, name)
    assert code == 2
    assert message in err
    assert not (folder / name / "report.html").exists()
