"""Job arrays: what is refused before any job, and what a shell makes of the scripts."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from verisimile.app.cli import app, command
from verisimile.app.commands.submit import check_words
from verisimile.app.jobs import JobArray, clock, condor_words, htcondor, seconds_of, slurm
from verisimile.app.terminal import ExitCode
from verisimile.core.errors import InputError

HOSTILE = ["run dir/it's", 'a "b" $HOME `id`', "$(touch pwned)", "x;y&&z|w", "*?[a]{b,c}!", "é\\n"]


@dataclass(frozen=True, kw_only=True)
class Sharded:
    """A command that can be cut into shards."""

    home: Path
    toys: Annotated[int, typer.Option(min=1)] = 10
    out: str = ""
    shard: str = ""
    max_seconds: float | None = None
    executor: str = ""

    def execute(self) -> ExitCode:
        raise AssertionError("submit does nothing")


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A command that cannot."""

    home: Path

    def execute(self) -> ExitCode:
        raise AssertionError("submit does nothing")


@pytest.fixture
def group() -> object:
    small = typer.Typer()
    small.command("gof")(command(Sharded))
    small.command("sample")(command(Whole))
    return typer.main.get_command(small)


def _array(*words: str, **settings: object) -> JobArray:
    plain = {"folder": "/tmp", "shards": 3, "seconds": 3600, "memory": 4}
    return JobArray(command=words, **(plain | settings))  # type: ignore[arg-type]


def test_a_right_command_passes(group: object) -> None:
    check_words(group, ["gof", "run", "--toys", "1000", "--out", "folder"])


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["gof", "run", "--tos", "1000"], "--tos"),
        (["gof", "run", "--toys", "many"], "--toys"),
        (["gof", "run", "--toys", "0"], "--toys"),
        (["gof"], "(?i)home"),
        (["gof", "run", "another"], "another"),
        (["sample", "run"], "expected one of gof, with its options"),
        (["nonsense"], "expected one of gof, with its options"),
        (["--json", "gof"], "expected one of gof, with its options"),
        (["gof", "run", "--shard", "1/2"], "--shard; expected no such option"),
        (["gof", "run", "--max-seconds", "5"], "--max-seconds; expected no such option"),
        (["gof", "run", "--executor", "loky:2"], "--executor; expected no such option"),
    ],
)
def test_a_wrong_command_is_refused_now(group: object, words: list[str], fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        check_words(group, words)


def test_the_command_line_refuses_too_and_prints_no_script() -> None:
    result = CliRunner().invoke(app, ["submit", "inspect", "run", "--system", "slurm"])
    assert result.exit_code == 2
    assert "expected one of" in result.stderr
    assert result.stdout == ""


def _recorder(folder: Path) -> Path:
    """A program that writes down its arguments, and ends as a shard does."""
    program = folder / "it's a program"
    program.write_text(
        f"#!{sys.executable}\nimport sys, json, os\n"
        "open('said', 'a').write(json.dumps([os.getcwd(), *sys.argv[1:]]) + '\\n'); sys.exit(4)\n"
    )
    program.chmod(0o755)
    return program


def _jobs(script: str) -> tuple[str, str]:
    """The two jobs that the script hands to sbatch."""
    first = re.search(r"<<'VERISIMILE_SHARD'\n(.*?)\nVERISIMILE_SHARD\n", script, re.DOTALL)
    second = re.search(r"<<'VERISIMILE_MERGE'\n(.*?)\nVERISIMILE_MERGE\n", script, re.DOTALL)
    assert first is not None
    assert second is not None
    return first[1], second[1]


def _bash(script: str, *options: str, cwd: Path, number: str = "") -> int:
    env = {"PATH": "/usr/bin:/bin", "SLURM_ARRAY_TASK_ID": number, "VERISIMILE_SHARD": number}
    return subprocess.run(
        ["bash", *options], input=script, text=True, check=False, cwd=cwd, env=env
    ).returncode


def test_slurm_jobs_run_the_very_words(tmp_path: Path) -> None:
    folder = tmp_path / 'a $folder\'s "name"'
    folder.mkdir()
    array = _array(str(_recorder(tmp_path)), "gof", *HOSTILE, folder=str(folder))
    script = slurm(array)
    assert _bash(script, "-n", cwd=tmp_path) == 0
    for job in _jobs(script):
        assert _bash(job, "-n", cwd=tmp_path) == 0
    shard, merging = _jobs(script)
    assert "#SBATCH --array=1-3" in shard
    assert "--dependency=afterany" in script
    # A shard that says that others are missing has not failed; a merge that says so is not done.
    assert _bash(shard, cwd=tmp_path, number="2") == 0
    assert _bash(merging, cwd=tmp_path) == 4
    limits = ["--executor", "serial", "--max-seconds", "3420"]
    said = [json.loads(line) for line in (folder / "said").read_text().splitlines()]
    assert said == [
        [str(folder), "gof", *HOSTILE, *limits, "--shard", "2/3"],
        [str(folder), "gof", *HOSTILE, *limits],
    ]
    assert not list(tmp_path.rglob("pwned"))


def test_a_signal_of_slurm_reaches_the_command(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(
        "#!/bin/bash\ntrap 'touch told; exit 4' TERM\nkill -TERM $PPID\n"
        "while true; do sleep 0.05; done\n"
    )
    program.chmod(0o755)
    shard, _ = _jobs(slurm(_array(str(program), "gof", folder=str(tmp_path))))
    assert _bash(shard, cwd=tmp_path, number="1") == 0
    assert (tmp_path / "told").exists()


def _condor_arguments(text: str) -> list[str]:
    """The words of a line ``arguments = "..."``, read by the rules of its manual."""
    (line,) = [line for line in text.splitlines() if line.startswith("arguments")]
    value = line.partition("=")[2].strip()
    assert value[0] == value[-1] == '"'
    inside = value[1:-1].replace('""', "\0").replace('"', "").replace("\0", '"')
    inside = inside.replace("$(DOLLAR)", "$")
    words = re.findall(r"'((?:[^']|'')*)'", inside)
    return [word.replace("''", "'") for word in words]


def test_htcondor_jobs_run_the_very_words(tmp_path: Path) -> None:
    array = _array(str(_recorder(tmp_path)), "gof", *HOSTILE, folder=str(tmp_path))
    text = htcondor(array)
    option, line = _condor_arguments(text)
    assert option == "-c"
    assert _bash(line, cwd=tmp_path, number="3") == 4
    (said,) = [json.loads(line) for line in (tmp_path / "said").read_text().splitlines()]
    assert said[1:] == [
        "gof", *HOSTILE, "--executor", "serial", "--max-seconds", "3420", "--shard", "3/3",
    ]  # fmt: skip
    assert "queue 3\n" in text
    assert "success_exit_code     = 4" in text
    assert f"#   {array.merging}" in text


def test_no_macro_of_htcondor_hides_in_a_name() -> None:
    assert "$(touch" not in condor_words(HOSTILE)
    assert _condor_arguments(f"arguments = {condor_words(HOSTILE)}") == HOSTILE


def test_what_htcondor_would_fill_in_later_is_refused() -> None:
    with pytest.raises(InputError, match=r"\$\$\("):
        htcondor(_array("verisimile", "gof", "a$$(Memory)"))


def test_a_job_without_its_folder_does_not_run_the_command(tmp_path: Path) -> None:
    array = _array(str(_recorder(tmp_path)), "gof", folder=str(tmp_path / "gone"))
    shard, _ = _jobs(slurm(array))
    assert _bash(shard, cwd=tmp_path, number="1") == 1
    assert not (tmp_path / "said").exists()


def test_setup_and_container(tmp_path: Path) -> None:
    array = _array("verisimile", "gof", setup=["module load python"], container="my image.sif")
    shard, _ = _jobs(slurm(array))
    assert shard.index("module load python") < shard.index("apptainer exec 'my image.sif' veri")


@pytest.mark.parametrize("text", ["a\nb", "tab\tbed", "bell\a", "VERISIMILE_SHARD\n"])
def test_lines_that_no_script_can_hold_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="line break"):
        _array("verisimile", "gof", text)


@pytest.mark.parametrize("text", ["", "1h", "00:09:59", "01:60:00", "1:00", "01:00:00\n"])
def test_times_that_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="HH:MM:SS, ten minutes or more"):
        seconds_of(text)


def test_times() -> None:
    assert [clock(seconds_of(text)) for text in ("00:10:00", "100:00:59")] == [
        "00:10:00",
        "100:00:59",
    ]
    assert _array("verisimile", "gof", seconds=600).own_seconds == 480


def test_the_printed_words_are_quoted_for_a_shell() -> None:
    merging = _array("verisimile", "gof", *HOSTILE).merging
    assert shlex.split(merging)[2:-4] == HOSTILE
