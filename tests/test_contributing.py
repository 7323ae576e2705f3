"""The worked examples of CONTRIBUTING.md, each followed to the letter in a copy of the source."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"<!-- (\w+)(?:: (.*?))? -->\n```python\n(.*?)```", re.DOTALL)
_EXAMPLES = {
    title: _BLOCK.findall(text)
    for title, text in re.findall(
        r"^## (Add .*?)\n(.*?)(?=^## |\Z)",
        (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
}


def test_there_is_an_example_of_each_kind() -> None:
    assert len(_EXAMPLES) == 4
    assert all("try" in [kind for kind, _, _ in blocks] for blocks in _EXAMPLES.values())


@pytest.mark.parametrize("title", _EXAMPLES)
def test_example_does_what_it_says(title: str, tmp_path: Path) -> None:
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=skip)
    touched = [_follow(kind, place, code, tmp_path) for kind, place, code in _EXAMPLES[title]]
    # One file, and at the most a line that registers it.
    assert sum(touched) <= 2
    script = tmp_path / "example.py"
    script.write_text("\n".join(c for kind, _, c in _EXAMPLES[title] if kind == "try"), "utf-8")
    outcome = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (outcome.returncode, outcome.stderr) == (0, "")


def _follow(kind: str, place: str, code: str, folder: Path) -> bool:
    """Change the copy as a block says; return whether it touched a file."""
    if kind == "try":
        return False
    name, _, line = place.partition(" after: ")
    path = folder / name
    if kind == "file":
        assert not path.exists()
        path.write_text(code, encoding="utf-8")
    else:
        text = path.read_text(encoding="utf-8")
        assert kind == "append" or text.count(f"{line}\n") == 1
        text = f"{text}\n\n{code}" if kind == "append" else text.replace(line, f"{line}\n{code}")
        path.write_text(text, encoding="utf-8")
    return True
