"""Every command begins with examples that its own parser takes, and obeys what all share."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from verisimile.app.cli import app
from verisimile.app.commands.submit import check_words
from verisimile.app.examples import EXAMPLES, said_of

GROUP: Any = typer.main.get_command(app)
LINES = [(name, line) for name, each in EXAMPLES.items() for _, line in each]


def test_every_command_has_examples_and_no_other_has() -> None:
    assert set(EXAMPLES) == set(GROUP.commands)
    assert all(EXAMPLES.values())


@pytest.mark.parametrize(("name", "line"), LINES)
def test_an_example_is_taken_by_its_parser(name: str, line: str) -> None:
    program, command, *words = shlex.split(line)
    assert (program, command) == ("verisimile", name)
    parsed = GROUP.commands[name].make_context(name, words)
    if name == "submit":
        check_words(GROUP, parsed.params["words"])


def test_a_wrong_example_would_be_noticed() -> None:
    with pytest.raises(Exception, match="No such option"):
        GROUP.commands["gof"].make_context("gof", ["runs/z", "x.parquet", "--toy", "3"])


@pytest.mark.parametrize("name", [*GROUP.commands])
def test_help_shows_them_and_has_a_short_name(name: str) -> None:
    shown = CliRunner(env={"COLUMNS": "300"}).invoke(app, [name, "-h"])
    assert shown.exit_code == 0
    assert all(line in shown.output for _, line in EXAMPLES[name])
    assert "--debug" in shown.output


def test_no_examples_are_said_of_no_command() -> None:
    assert said_of("nonsense") == ""


def test_debug_shows_where_an_error_was_raised() -> None:
    plain = CliRunner().invoke(app, ["validate", "none.csv", "other.csv"])
    told = CliRunner().invoke(app, ["validate", "none.csv", "other.csv", "--debug"])
    assert (plain.exit_code, told.exit_code) == (2, 2)
    assert plain.stderr.startswith("error: none.csv: got no such file")
    assert told.stderr.startswith("Traceback")
    assert told.stderr.endswith(plain.stderr)


def test_the_package_is_a_program_and_completes_its_commands() -> None:
    # One process for both: what completes is asked by the shell in place of a command.
    environment = {
        **os.environ,
        "COMP_WORDS": "verisimile va",
        "COMP_CWORD": "1",
        "_VERISIMILE_COMPLETE": "complete_bash",
    }
    code = (
        "import runpy, sys; sys.argv[0] = 'verisimile'\n"
        "try:\n    runpy.run_module('verisimile', run_name='__main__')\n"
        "finally:\n    print(sorted({'torch', 'numpy'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["validate"]
    assert done.stderr.strip() == "[]"
