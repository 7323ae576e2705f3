"""Shards of a command do their part, and the same command without a shard makes the same report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from verisimile.app.cli import app
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.files import write_events

SERIAL = ("--executor", "serial")
TINY = ("--epochs", "2", "--layers", "1", "--hidden", "16", "--bins", "4", "--members", "4")
_VARYING = {"written", "versions", "timings", "seconds", "command", "source", "machine"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("samples")
    rng = np.random.default_rng(1)
    for name, n in (("train", 600), ("test", 150), ("other", 150)):
        x = rng.normal(size=(n, 2))
        write_events(Events(x, features=(Feature("a"), Feature("b"))), home / f"{name}.parquet")
    return home


def call(*words: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, done.stdout, done.stderr


def constant(value: Any) -> Any:  # noqa: ANN401  (JSON of any shape)
    if isinstance(value, dict):
        return {key: constant(item) for key, item in value.items() if key not in _VARYING}
    return [constant(item) for item in value] if isinstance(value, list) else value


def numbers(report: Path) -> Any:  # noqa: ANN401  (JSON of any shape)
    return constant(json.loads((report / "result.json").read_text(encoding="utf-8")))


def in_shards(*command: object, rounds: int, report: Path) -> None:
    """Do the shards in rounds, as stages follow each other: each ends with 4, without a report."""
    for _ in range(rounds):
        for shard in ("2/3", "1/3", "3/3"):
            code, out, err = call(*command, "--shard", shard)
            assert (code, out) == (4, ""), err
            assert "done: " in err
            assert not (report / "result.json").exists()


def test_a_validation(folder: Path, tmp_path: Path) -> None:
    samples = (folder / "test.parquet", folder / "other.parquet")
    tests = ("--tests", "mean-ks,energy", "--permutations", 999)
    command = ("validate", *samples, *tests, *SERIAL, "--out")
    in_shards(*command, tmp_path / "parts", rounds=1, report=tmp_path / "parts")
    for out in ("parts", "whole"):
        code, _, err = call(*command, tmp_path / out)
        assert code in (0, 3), err
    assert numbers(tmp_path / "parts") == numbers(tmp_path / "whole")


def test_a_fit_and_its_test(folder: Path, tmp_path: Path) -> None:
    for out in ("parts", "whole"):
        published = (*TINY, *SERIAL, "--no-discrepancy", "--fit-fraction", "0.4")
        fit = ("fit", folder / "train.parquet", *published, "--out", tmp_path / out)
        if out == "parts":
            in_shards(*fit, rounds=1, report=tmp_path / out)
            assert not (tmp_path / out / "fit.json").exists()
        assert call(*fit)[0] == 0
        quick = ("--toys", 40, "--kernels", 10, *SERIAL, "--report", tmp_path / f"{out}-report")
        gof = ("gof", tmp_path / out, folder / "test.parquet", *quick)
        if out == "parts":
            in_shards(*gof, rounds=1, report=tmp_path / f"{out}-report")
        assert call(*gof)[0] in (0, 1)
    assert numbers(tmp_path / "parts-report") == numbers(tmp_path / "whole-report")


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/10001", "-1/3", "1/3/5", "9" * 5000])
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_no_part_of_anything(folder: Path, tmp_path: Path, text: str, more: tuple[str]) -> None:
    samples = (folder / "test.parquet", folder / "other.parquet")
    code, _, err = call("validate", *samples, "--out", tmp_path / "out", "--shard", text, *more)
    assert (code, err.count("\n")) == (2, 1)
    assert "k/N" in err
    assert not (tmp_path / "out").exists()
