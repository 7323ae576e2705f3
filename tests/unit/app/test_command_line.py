"""What the command line says of itself, and how fast."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from verisimile.app.cli import app

COMMANDS = ["demo", "fit", "gc", "gof", "inspect", "sample"]
RUN = "from verisimile.app.cli import main; main()"


def test_help_lists_the_commands() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert all(name in result.output for name in COMMANDS)
    assert "3 inconclusive" in " ".join(result.output.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "--json" in result.output


def test_help_and_version_do_not_wait_for_torch() -> None:
    heavy = "{'torch', 'numpy', 'scipy', 'matplotlib', 'pyarrow', 'sklearn', 'loky'}"
    code = (
        "import sys\ntry:\n    from verisimile.app.cli import main; main()\n"
        f"finally:\n    print(sorted({heavy} & set(sys.modules)), file=sys.stderr)"
    )
    for argument in ("--help", "--version"):
        run = subprocess.run(
            [sys.executable, "-c", code, argument], capture_output=True, text=True, check=True
        )
        assert run.stderr.strip() == "[]"


def test_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("verisimile ")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["fit"],
        ["fit", "x.csv"],
        ["fit", "x.csv", "--out", "run", "--members", "0"],
        ["gof", "run", "x.csv", "--hypothesis", "other"],
        ["gof", "run", "x.csv", "--toys", "0"],
        ["sample", "run", "-n", "0", "--out", "x.csv"],
    ],
)
def test_wrong_usage_is_code_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2
