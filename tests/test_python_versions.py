"""Newer interpreters that are there read every file, and have what it takes of the library."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
READ = """
import ast, importlib.util, pathlib, sys, warnings
warnings.simplefilter("error")
names = set()
for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.py")):
    text = path.read_text(encoding="utf-8")
    compile(text, str(path), "exec")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
gone = {"asyncore", "cgi", "distutils", "imp", "pipes", "telnetlib"}
standard = {name for name in names if name.split(".")[0] in {*sys.stdlib_module_names, *gone}}
missing = {name for name in standard if importlib.util.find_spec(name) is None}
assert len(standard) > 20 and not missing, missing
"""


def interpreter(version: str) -> str | None:
    """Return a Python of that version that runs; what stands for one and is none is passed over."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    installed = sorted(versions.glob(f"{version}.*/bin/python{version}"))
    for path in filter(None, (shutil.which(f"python{version}"), *map(str, installed))):
        if subprocess.run([path, "--version"], capture_output=True).returncode == 0:
            return path
    return None


@pytest.mark.parametrize("version", ["3.12", "3.13", "3.14"])
def test_newer_python_reads_the_package(version: str) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version}")
    subprocess.run([python, "-c", READ, str(ROOT / "src")], check=True)


def test_what_a_newer_python_refuses_is_seen(tmp_path: Path) -> None:
    (tmp_path / "escape.py").write_text('word = "\\d"\n', encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", READ, str(tmp_path)], capture_output=True)
    assert b"invalid escape sequence" in done.stderr
