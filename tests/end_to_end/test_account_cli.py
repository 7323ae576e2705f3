"""What commands say of columns and rows that they leave out, and what a dry run checks."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from verisimile.app.cli import app
from verisimile.core.result import to_dict
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.files import write_events
from verisimile.report.document import read_report

N = 300
SHORT = ("--tests", "max-ks", "--permutations", 99, "--executor", "serial")
SPLIT = ("--fit-fraction", 0.4)
TINY = ("--epochs", 1, "--layers", 1, "--hidden", 8, "--bins", 4, "--members", 3)
SERIAL = ("--executor", "serial")


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401  (JSON of any shape)
        return json.loads(self.out)


def call(*arguments: object) -> Outcome:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return Outcome(result.exit_code, result.stdout, result.stderr)


def table(path: Path, **columns: Sequence[object]) -> Path:
    if path.suffix == ".parquet":
        pa.parquet.write_table(pa.table(columns), path)
        return path
    cells = zip(*columns.values(), strict=True)
    rows = [",".join(columns), *(",".join(map(str, row)) for row in cells)]
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def dashed(seed: int, shift: float, gaps: int) -> list[str]:
    """Return values as a catalogue writes them, some of them missing."""
    values = np.random.default_rng(seed).normal(shift, 1.0, N)
    return ["--" if row < gaps else f"{value:.5f}" for row, value in enumerate(values)]


def right(seed: int) -> list[float]:
    return [float(f"{value:.5f}") for value in np.random.default_rng(seed).uniform(0, 360, N)]


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two catalogues, some magnitudes of which are missing and far apart."""
    return (
        table(tmp_path / "ref.csv", ra=right(1), mag=dashed(2, 0.0, 6), genWeight=right(5)),
        table(tmp_path / "gen.csv", ra=right(3), mag=dashed(4, 3.0, 6)),
    )


@pytest.fixture
def typed(tmp_path: Path) -> tuple[Path, Path]:
    """The same in a format with types, where a column with dashes is text."""
    return (
        table(tmp_path / "ref.parquet", ra=right(1), mag=dashed(2, 0.0, 6)),
        table(tmp_path / "gen.parquet", ra=right(3), mag=dashed(4, 3.0, 6)),
    )


def test_missing_values_are_refused_dropped_or_ignored(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    command = ("validate", *pair, "--out", tmp_path / "out", *SHORT, "--ignore", "genWeight")
    refused = call(*command)
    assert (refused.code, refused.out) == (2, "")
    for word in ("ref.csv", "'mag': 6", "row 0", "--missing drop", "--ignore mag"):
        assert word in refused.err
    dropped = call(*command, "--missing", "drop")
    assert dropped.code == 1, dropped
    assert "6 of 300 rows dropped for missing values (mag 6)" in dropped.out
    assert "reference and generated samples: 6 of 300 rows dropped" in dropped.err
    content = json.loads((tmp_path / "out" / "result.json").read_text())["content"]
    account = content["inputs"][0]["account"]
    assert account["kept"] == ["ra", "mag"]
    assert [(one["name"], one["reason"]) for one in account["left_out"]] == [
        ("genWeight", "on request")
    ]
    assert (account["rows"], account["dropped"], account["missing"]) == (N, 6, {"mag": 6})
    ignored = call(*command, "--ignore", "mag")
    assert ignored.code == 0, ignored
    assert "1 column kept: ra; 2 left out: mag (on request), genWeight" in ignored.out
    assert "generated: 1 column kept: ra; 1 left out: mag (on request)" in ignored.out


def test_a_generator_that_leaves_values_out_fails(tmp_path: Path) -> None:
    ref = table(tmp_path / "ref.csv", ra=right(1), mag=dashed(2, 0.0, 3))
    gen = table(tmp_path / "gen.csv", ra=right(3), mag=dashed(4, 0.0, 40))
    outcome = call("validate", ref, gen, "--out", tmp_path / "out", *SHORT, "--missing", "drop")
    assert outcome.code == 1, outcome
    (row,) = (line for line in outcome.out.splitlines() if line.startswith("missing values"))
    assert "failed" in row
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "dropped for missing values" in page
    assert "mag 40" in page


def test_a_column_of_numbers_that_is_left_out_is_inconclusive(
    typed: tuple[Path, Path], tmp_path: Path
) -> None:
    command = ("validate", *typed, "--out", tmp_path / "out", *SHORT)
    outcome = call(*command)
    assert outcome.code == 3, outcome
    assert "column 'mag' was left out of the reference and generated samples" in outcome.out
    assert "--ignore mag" in outcome.out
    assert "1 column kept: ra; 1 left out: mag (values of type" in outcome.out
    again = read_report(tmp_path / "out" / "result.json")
    assert again.content.inputs[0].account is not None
    assert again.content.inputs[0].account.doubts[0].name == "mag"
    assert to_dict(again)["verdict"] == "inconclusive"
    for remedy in (
        ("--ignore", "mag"),
        ("--features", "ra"),
        ("--features", "ra,mag", "--ignore", "mag"),
    ):
        assert call(*command, *remedy).code == 0
    # A difference that is found is found.
    worse = table(tmp_path / "worse.parquet", ra=(right(3)[0],) * N, mag=dashed(4, 0.0, 6))
    assert call("validate", typed[0], worse, "--out", tmp_path / "o", *SHORT).code == 1
    quiet = call(*command, "--json")
    assert quiet.json["verdict"] == "inconclusive"


def test_a_study_file_says_the_same(typed: tuple[Path, Path], tmp_path: Path) -> None:
    study = tmp_path / "study.toml"
    samples = f'reference = "{typed[0].name}"\ngenerated = "{typed[1].name}"\n'
    study.write_text(f'[samples]\n{samples}ignore = ["mag"]\nmissing = "drop"\n', encoding="utf-8")
    assert call("validate", "--study", study, "--out", tmp_path / "o", *SHORT).code == 0
    study.write_text(f'[samples]\n{samples}missing = "keep"\n', encoding="utf-8")
    wrong = call("validate", "--study", study, "--out", tmp_path / "o", *SHORT)
    assert wrong.code == 2
    assert "samples.missing" in wrong.err


def test_what_is_said_of_an_ignored_column_does_not_matter(
    typed: tuple[Path, Path], tmp_path: Path
) -> None:
    study = tmp_path / "study.toml"
    study.write_text("[samples]\ncut = 'ra < 350'\n[features.mag]\nunit = 'mag'\n")
    command = ("validate", *typed, "--study", study, "--out", tmp_path / "out", *SHORT)
    found = call(*command, "--ignore", "mag", "--feature", "ra:unit=deg")
    assert found.code == 0, found
    assert "rows cut by ra < 350" in found.out
    content = json.loads((tmp_path / "out" / "result.json").read_text())["content"]
    assert [one["name"] for one in content["inputs"][0]["account"]["left_out"]] == ["mag"]
    assert content["inputs"][0]["features"][0]["unit"] == "deg"


def test_unclaimed_and_unequal_columns_name_file_and_option(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    end = ("--missing", "drop", "--out", tmp_path / "out", *SHORT)
    unclaimed = call("validate", *pair, *end)
    assert unclaimed.code == 2
    for word in ("ref.csv", "--weights genWeight", "--ignore genWeight", "--features"):
        assert word in unclaimed.err
    more = table(tmp_path / "more.csv", ra=right(1), mag=dashed(2, 0.0, 0), z=right(7))
    unequal = call("validate", more, pair[1], *end)
    assert unequal.code == 2
    for word in ("generated sample", "gen.csv", "more.csv", "missing: 'z'", "--ignore z"):
        assert word in unequal.err
    assert "--features ra,mag" in unequal.err
    unknown = call("validate", *pair, *end, "--ignore", "gemWeight")
    assert unknown.code == 2
    assert "'gemWeight' in any of the samples" in unknown.err
    assert "Did you mean 'genWeight'?" in unknown.err


FEATURES = (Feature("m", unit="GeV"), Feature("pt", unit="GeV"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Samples, some of them faulty, and a fitted run."""
    home = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(1)
    for name in ("train", "test", "a", "b", "c", "truth"):
        x = np.column_stack([rng.normal(90.0, 5.0, N), rng.exponential(20.0, N)])
        write_events(Events(x, features=FEATURES), home / f"{name}.parquet")
        others = [Feature(spec.name, unit="MeV") for spec in FEATURES]
        write_events(Events(1e3 * x, features=others), home / f"{name}_mev.parquet")
        narrow = Events(x[:, :1], features=FEATURES[:1])
        write_events(narrow, home / f"{name}_narrow.parquet")
        write_events(Events(x[:5], features=FEATURES), home / f"{name}_few.parquet")
        signed = Events(x, np.where(np.arange(N) % 3, 1.0, -0.5), features=FEATURES)
        write_events(signed, home / f"{name}_signed.parquet")
    fitted = call("fit", home / "train.parquet", "--out", home / "run", *SPLIT, *TINY, *SERIAL)
    assert fitted.code == 0, fitted
    (home / "file").touch()
    return home


FAULTS: list[tuple[str, str, str]] = [
    ("fit", "none.parquet", "no such file"),
    ("fit", "train.parquet --features m,eta", "'eta'"),
    ("fit", "train.parquet --support eta=0:", "'eta'"),
    ("fit", "train.parquet --weights w", "'w'"),
    ("fit", "train_signed.parquet --weights weight", "weights"),
    ("fit", "train.parquet --fit-events test_narrow.parquet", "'pt'"),
    ("fit", "train.parquet --fit-events test_mev.parquet", "test_mev.parquet, column 'm'"),
    ("fit", "train.parquet --executor ray:x", "loky:n"),
    ("fit", "train.parquet --ignore eta", "--ignore"),
    ("gof", "run test_mev.parquet", "unit"),
    ("gof", "run test_narrow.parquet", "'pt'"),
    ("gof", "run test.parquet --toys 5", "at least 19"),
    ("gof", "run test.parquet --scan --exceedances 3", "a fixed number"),
    ("gof", "run test.parquet --report file", "which is a file"),
    ("gof", "run test.parquet --ignore m", "--ignore"),
    ("coverage", "run --moment eta", "'eta'"),
    ("coverage", "run --truth test_few.parquet", "--truth"),
    ("coverage", "run --truth test_mev.parquet --events 9", "unit"),
    ("coverage", "run --report file", "which is a file"),
    ("amplify", "a.parquet --holdout truth.parquet", "--n-train"),
    ("amplify", "a.parquet b_narrow.parquet --holdout truth.parquet --n-train 9", "b_narrow"),
    ("amplify", "a.parquet --holdout truth_narrow.parquet --n-train 9", "'pt'"),
    ("amplify", "a.parquet --holdout train.parquet --train train.parquet", "all in the training"),
    ("amplify", "a.parquet --holdout truth.parquet --n-train 9 --regions 900", "900 regions"),
    ("amplify", "run --holdout truth_mev.parquet", "unit"),
    ("compare", "a.parquet b.parquet c_few.parquet --truth truth.parquet", "at least 8"),
    ("compare", "a.parquet b.parquet c.parquet --truth truth.parquet --features z", "'z'"),
    ("compare", "a.parquet b.parquet c.parquet --truth truth.parquet --score x", "--score"),
    ("validate", "truth.parquet a_mev.parquet", "unit"),
    ("validate", "truth.parquet a.parquet --cut m>1000", "none of 300"),
    ("validate", "truth.parquet a.parquet --selection p=eta>0", "eta"),
    ("validate", "truth.parquet a.parquet --selection p=log(m-90)>0", "selection 'p', reference"),
    ("validate", "truth.parquet a.parquet --constraint c=m", "constraint 'c', reference"),
    ("validate", "truth.parquet a.parquet --observable z=log(eta)", "eta"),
    ("validate", "truth.parquet a.parquet --weights w", "'w'"),
    ("validate", "truth.parquet a.parquet --executor ray:x", "loky:n"),
    ("fit", "train.parquet --feature eta:unit=GeV", "'eta'"),
    ("gof", "run test.parquet --feature eta:unit=GeV", "'eta'"),
    ("coverage", "run --feature eta:unit=GeV", "'eta'"),
    ("amplify", "a.parquet --holdout truth.parquet --n-train 9 --feature eta:unit=GeV", "'eta'"),
    ("amplify", "run --holdout truth.parquet --feature eta:unit=GeV", "'eta'"),
    ("compare", "a.parquet b.parquet c.parquet --truth truth.parquet --feature eta:low=0", "'eta'"),
    ("validate", "truth.parquet a.parquet --feature eta:unit=GeV", "'eta'"),
    ("sample", "run -n 3 --out none/x.csv", "folder"),
    ("sample", "run -n 3 --out x.npy", "npz"),
]


@pytest.mark.parametrize(("command", "options", "words"), FAULTS)
def test_a_dry_run_finds_what_the_run_finds(
    files: Path, monkeypatch: pytest.MonkeyPatch, command: str, options: str, words: str
) -> None:
    monkeypatch.chdir(files)
    more: list[object] = [] if "--executor" in options or command == "sample" else [*SERIAL]
    if command not in ("gof", "coverage", "sample"):
        more += ["--out", "new"]
    before = sorted(files.rglob("*"))
    real = call(command, *options.split(), *more)
    dry = call(command, *options.split(), *more, "--dry-run")
    assert dry == real
    assert (dry.code, dry.out) == (3 if "--toys" in options else 2, "")
    assert words in dry.err
    assert sorted(files.rglob("*")) == before


def test_a_dry_run_says_that_nothing_could_pass(
    files: Path, typed: tuple[Path, Path], tmp_path: Path
) -> None:
    pair = (files / "truth.parquet", files / "a.parquet")
    end = ("--out", tmp_path / "out", *SERIAL, "--dry-run")
    few = call("validate", *pair, "--level", "1e-4", *end, "--json")
    assert few.code == 3, few
    assert "no p-value can be below" in few.json["doubts"][0]
    assert "the level is 0.0001" in few.err
    assert call("validate", *pair, "--level", "1e-4", "--permutations", 200_000, *end).code == 0
    doubtful = call("validate", *typed, *end)
    assert doubtful.code == 3
    assert "'mag' was left out" in doubtful.err
    blind = call("coverage", files / "run", "--datasets", 5, *SERIAL, "--dry-run")
    assert blind.code == 3
    assert "5 data sets cannot tell" in blind.err
    assert not (tmp_path / "out").exists()


def test_a_dry_run_knows_whose_the_folder_is(files: Path, tmp_path: Path) -> None:
    home = Path(shutil.copytree(files / "run", tmp_path / "run"))
    command = ("fit", files / "train.parquet", "--out", home, *SPLIT, *TINY, *SERIAL)
    other = ("--seed", 7)
    assert call(*command, "--dry-run").code == 0
    dry = call(*command, *other, "--dry-run")
    assert dry == call(*command, *other)
    assert "another configuration" in dry.err


def test_a_run_that_left_a_column_out_decides_nothing(
    files: Path, typed: tuple[Path, Path], tmp_path: Path
) -> None:
    home = tmp_path / "run"
    fitted = call("fit", typed[0], "--out", home, *SPLIT, *TINY, *SERIAL)
    assert fitted.code == 0, fitted
    assert "warning: column 'mag' was left out" in fitted.err
    assert "training: 1 column kept: ra" in fitted.out
    tested = call("gof", home, typed[1], "--toys", 19, "--kernels", 5, *SERIAL, "--json")
    assert tested.code in (1, 3)
    said = {one["hypothesis"]: one["verdict"] for one in tested.json["conclusions"]}
    assert said["columns left out"] == "inconclusive"
    assert "mag" in call("inspect", home).out


def test_a_comparison_that_left_a_column_out_is_inconclusive(files: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(90.0, 5.0, N).tolist()
    truth = table(tmp_path / "truth.parquet", m=values, pt=[f"{value:.3f}" for value in values])
    samples = [files / f"{name}_narrow.parquet" for name in "abc"]
    end = ("--truth", truth, "--out", tmp_path / "out", "--score", "linear", *SERIAL)
    outcome = call("compare", *samples, *end)
    assert outcome.code == 3, outcome
    assert "column 'pt' was left out of the truth sample" in outcome.out
    assert call("compare", *samples, *end, "--ignore", "pt").code == 0


def test_a_place_that_cannot_be_written_is_refused(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = (files / "truth.parquet", files / "a.parquet")
    monkeypatch.setattr(os, "access", lambda place, _: Path(place) != tmp_path)
    outcome = call("validate", *pair, "--out", tmp_path / "a" / "b", *SHORT)
    assert (outcome.code, outcome.out) == (2, "")
    assert "where nothing may be written" in outcome.err
