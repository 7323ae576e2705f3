"""The pages on installation and nightly jobs: what they name is there, what they run is read."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import verisimile as vs
from verisimile.app.cli import app
from verisimile.app.terminal import ExitCode
from verisimile.report.owned import NAMES
from verisimile.validation.battery import smallest_p_value

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
INSTALL = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
NIGHTLY = (ROOT / "docs" / "nightly.md").read_text(encoding="utf-8")
GITHUB, GITLAB = (yaml.safe_load(t) for t in re.findall(r"```yaml\n(.*?)```", NIGHTLY, re.DOTALL))
COMMANDS = typer.main.get_command(app)


def blocks(kind: str) -> str:
    """Return the text of all blocks of one kind, lines that go on joined."""
    found = re.findall(rf"```{kind}\n(.*?)```", INSTALL + NIGHTLY, re.DOTALL)
    return "\n".join(found).replace("\\\n", " ")


def scripts() -> list[str]:
    """Return what both pipelines run, one command each."""
    steps = GITHUB["jobs"]["validate"]["steps"]
    return [*(step["run"] for step in steps if "run" in step), *GITLAB["validate"]["script"]]


def calls() -> Iterator[list[str]]:
    """Yield the words of every call of verisimile on the pages."""
    for line in [*blocks("console").splitlines(), *scripts()]:
        words = shlex.split(line.removeprefix("$ "), comments=True)
        if words[:1] == ["verisimile"]:
            yield words[1:]


def package(requirement: str) -> str:
    return re.split(r"[><=\[]", requirement)[0]


def test_every_command_is_one_that_the_parser_takes() -> None:
    found = list(calls())
    assert {words[0] for words in found} >= {"validate", "amplify", "gof"}
    commands: dict[str, Any] = getattr(COMMANDS, "commands", {})
    for name, *rest in found:
        commands[name].make_context(name, list(rest))


def test_both_pipelines_make_the_same_gate_which_can_fail() -> None:
    first, second = (words for words in calls() if "--level" in words and words[0] == "validate")
    assert first == second
    values = dict(zip(first, first[1:], strict=False))
    battery = vs.Battery(permutations=int(values["--permutations"]))
    level = float(values["--level"])
    assert smallest_p_value(battery, (50_000, 50_000), weighted=True) <= level
    said = re.search(r"from `--permutations (\d+)` on", NIGHTLY)
    assert said is not None
    for permutations, reaches in ((int(said[1]), True), (int(said[1]) // 2, False)):
        battery = vs.Battery(permutations=permutations)
        smallest = smallest_p_value(battery, (50_000, 50_000), weighted=False)
        assert (smallest <= level) == reaches


def test_pipelines_keep_files_that_a_report_has() -> None:
    report = {"path": GITHUB["jobs"]["validate"]["steps"][-1]["with"]["path"].split()}
    artifacts = GITLAB["validate"]["artifacts"]
    kept = [*report["path"], *artifacts["paths"], artifacts["reports"]["junit"]]
    assert {Path(path).parts[0] for path in kept} == {"validation"}
    names = {Path(path).name for path in kept}
    assert names <= {*NAMES, "figures"}
    assert {"report.html", "result.json", "junit.xml"} <= names
    # A job that fails is the one whose report is wanted.
    assert artifacts["when"] == "always"
    assert "cancelled()" in GITHUB["jobs"]["validate"]["steps"][-1]["if"]
    assert "schedule" in GITHUB[True]  # "on" is a truth value of YAML


def test_exit_codes_are_those_of_the_commands() -> None:
    rows = {int(code): text for code, text in re.findall(r"^\| (\d+) \| (.*?) \|", NIGHTLY, re.M)}
    assert set(rows) == {int(code) for code in ExitCode if code is not ExitCode.BUG}
    assert "nothing can be said" in rows[GITLAB["validate"]["allow_failure"]["exit_codes"]]
    assert "not finished" in rows[GITLAB["validate"]["retry"]["exit_codes"]]


def test_examples_name_what_there_is() -> None:
    used = set(re.findall(r"\bvs\.(\w+)", NIGHTLY))
    assert {"log_report", "MLflowLogger", "WandbLogger"} <= used <= set(dir(vs))
    for code in re.findall(r"```python\n(.*?)```", NIGHTLY, re.DOTALL):
        compile(code, "nightly.md", "exec")


def test_extras_are_those_of_the_project() -> None:
    table = re.findall(r"^\| `(\w+)` \| (.*?) \|", INSTALL, re.MULTILINE)
    assert [name for name, _ in table] == sorted(
        {*PROJECT["optional-dependencies"]},
        key=["io", "fits", "dask", "zuko", "mlflow", "wandb", "all"].index,
    )
    for name, brings in table[:-1]:
        packages = {package(each) for each in PROJECT["optional-dependencies"][name]}
        assert set(brings.split(", ")) == packages


def test_what_an_installation_without_torch_takes_is_all_the_rest() -> None:
    lines = [line for line in blocks("console").splitlines() if "boost-histogram" in line]
    assert len(lines) == 1
    named = set(lines[0].removeprefix("$ pip install").split())
    whole = {package(each) for each in PROJECT["dependencies"]}
    assert whole - named == {"torch", "nflows", "pytorch-minimize"}
    assert named <= whole


@pytest.mark.parametrize("module", ["torch", "nflows.transforms"])
def test_command_that_lacks_torch_says_what_to_install(module: str) -> None:
    from verisimile.app.terminal import exit_on_error

    with pytest.raises(typer.Exit) as end, exit_on_error():
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)
    assert end.value.exit_code == ExitCode.BAD_INPUT
