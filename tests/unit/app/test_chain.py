"""Study files of several stages: sections are commands, and every fault is told before the work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer

from verisimile.app.chain import Given, options_of, read_chain, stage_names, with_sample
from verisimile.app.cli import app
from verisimile.app.commands.run import worst
from verisimile.app.terminal import ExitCode
from verisimile.core.errors import InputError

GROUP: Any = typer.main.get_command(app)
SAMPLES = '[samples]\nevents = "z.parquet"\n'


def write(folder: Path, text: str) -> Path:
    file = folder / "study.toml"
    file.write_text(text)
    return file


def values(folder: Path, text: str, **defaults: object) -> dict[str, object]:
    """Return the options of the first section of a file."""
    (section, *_) = read_chain(write(folder, text), GROUP).sections
    given = Given(folder, defaults, {"executor": "serial"}, folder / "extra")
    return options_of(section, GROUP.commands[section.command], given)


def test_stages_come_in_the_designed_order_whatever_the_file_says(tmp_path: Path) -> None:
    text = "[amplify]\n[gof]\n[[validate]]\n[[validate]]\n[fit]\n"
    chain = read_chain(write(tmp_path, SAMPLES + text), GROUP)
    titles = [each.title for each in with_sample(chain).sections]
    assert titles == ["fit", "gof", "sample", "validate 1", "validate 2", "amplify"]
    assert (chain.title, chain.seed, chain.level) == ("study", 2026, 0.05)


def test_every_command_that_plans_its_work_may_be_a_section() -> None:
    names = stage_names(GROUP)
    assert names[:6] == ["fit", "gof", "coverage", "sample", "validate", "amplify"]
    assert "compare" in names
    assert not {"run", "demo", "init", "submit", "inspect", "gc"} & set(names)


def test_keys_are_options(tmp_path: Path) -> None:
    found = values(
        tmp_path,
        "[fit]\ntrain = 'a.parquet'\nfeatures = ['m', 'hypot(px, py)']\nsupport = {m = [60, 120]}\n"
        "feature = {m = {unit = 'GeV', label = '$m_{a, b}$'}}\ndiscrepancy = false\nfit_events = "
        "'b.parquet'\n",
        out="run",
    )
    assert found["train"] == str(tmp_path / "a.parquet")
    assert found["features"] == "m,hypot(px, py)"
    assert found["support"] == ["m=60:120"]
    assert found["feature"] == ["m:unit=GeV,label=$m_{a, b}$"]
    assert found["discrepancy"] is False
    assert found["fit_events"] == str(tmp_path / "b.parquet")
    assert (found["executor"], found["out"]) == ("serial", Path("run"))


def test_arguments_are_called_as_help_calls_them(tmp_path: Path) -> None:
    found = values(tmp_path, "[gof]\nrun = 'runs/z'\ntest = 'x.root:Events'\nwidth = [0.5, 1]\n")
    assert found["home"] == tmp_path / "runs/z"
    assert found["sample"] == str(tmp_path / "x.root:Events")
    assert found["width"] == [0.5, 1.0]


def test_a_value_may_begin_with_a_dash(tmp_path: Path) -> None:
    text = "[validate]\nreference = 'a'\ngenerated = '-b.csv'\ncut = '-x > 3'\n"
    found = values(tmp_path, text)
    assert found["cut"] == "-x > 3"
    assert found["generated"] == str(tmp_path / "-b.csv")


def test_what_no_option_says_is_a_study_of_one_comparison(tmp_path: Path) -> None:
    from verisimile.validation.study import read_study

    found = values(
        tmp_path,
        "[validate]\nreference = 'a'\ngenerated = 'b'\n[validate.thresholds]\nauc = {max = 0.6}\n"
        "[validate.battery]\nrequired = ['energy']\n",
    )
    study = read_study(str(found["study"]))
    assert study.thresholds["auc"].max == 0.6
    assert study.battery.required == ("energy",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[gouf]\n", r"the key 'gouf'.*Did you mean 'gof'"),
        ("title = 'x'\n", r"no section"),
        ("fit = 3\n", r"fit: got 3; expected a section \[fit\]"),
        ("level = 1.5\n[gof]\n", r"level: .*1\.5"),
        ("[samples]\nevent = 'x'\n[fit]\n", r"the key 'event'.*Did you mean 'events'"),
        ("[samples]\n[fit]\n", "no file"),
        ("[samples]\nevents = 'x'\nunseen = 2.0\n[fit]\n", r"unseen: got 2\.0"),
        ("[samples]\nevents = 'x'\nmissing = 'skip'\n[fit]\n", "missing: got 'skip'"),
        ("[battery]\n[fit]\n", "verisimile validate --study"),
    ],
)
def test_faults_of_the_file(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_chain(write(tmp_path, text), GROUP)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[fit]\nmember = 3\n", r"\[fit\]: got the key 'member'.*Did you mean 'members'"),
        ("[fit]\nmembers = 0\n", r"\[fit\]: got Invalid value for '--members'"),
        ("[fit]\nexecutor = 'serial'\n", "said for the whole study"),
        ("[gof]\nlevel = 0.01\n", "said for the whole study"),
        ("[gof]\nscan = 'yes'\n", "expected true or false"),
        ("[gof]\ntoys = {a = 1}\n", "expected one value"),
        ("[gof]\n", "Missing argument"),
        ("[validate]\n[validate.thresholds]\nauc = {}\n", r"\[validate\].*needs min, max"),
    ],
)
def test_faults_of_a_section(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        values(tmp_path, text, out="run", train="x")


def test_the_worst_code_is_by_what_it_means_and_not_by_its_number() -> None:
    good, bad, unknown = ExitCode.COMPATIBLE, ExitCode.INCOMPATIBLE, ExitCode.INCONCLUSIVE
    assert worst([good, good]) is good
    assert worst([good, unknown]) is unknown
    assert worst([unknown, bad, good]) is bad
    assert worst([bad, ExitCode.INCOMPLETE]) is ExitCode.INCOMPLETE
    assert worst([]) is unknown
