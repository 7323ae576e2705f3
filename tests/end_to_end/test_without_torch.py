"""What compares samples runs where there is no torch: nothing of it even asks for the library."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "nflows", "zuko", "torchmin", "normflows", "mlflow", "wandb")
# Found before the library itself, in worker processes too: it notes who asks, and is not there.
STAND_IN = """
import sys, traceback
with open(__file__ + ".asked", "a") as file:
    file.write("".join(traceback.format_stack()))
raise ModuleNotFoundError(f"No module named {__name__!r}", name=__name__)
"""
CALLS = """
import numpy as np
import verisimile as vs
from verisimile.app.cli import app

rng = np.random.default_rng(3)
samples = [vs.Events(rng.normal(size=(120, 2)), names=("m", "pt")) for _ in range(8)]
for name, sample in zip("a b c d e f2 g2 h2".split(), samples):
    vs.write_events(sample, f"{name}.parquet")
for line in (
    "validate a.parquet b.parquet --train c.parquet --permutations 19 "
    "--tests energy",
    "amplify b.parquet d.parquet --holdout a.parquet --train c.parquet",
    "compare b.parquet d.parquet e.parquet --against ?2.parquet --truth a.parquet --score linear "
    "--permutations 19",
):
    code = app([*line.split(), "--executor", "serial"], standalone_mode=False)
    assert code in (None, 0, 1, 3), (line, code)
"""


@pytest.fixture
def without_torch(tmp_path: Path) -> Path:
    """Return a folder of stand-ins for the libraries that must not be asked for."""
    folder = tmp_path / "stand-ins"
    folder.mkdir()
    for name in HEAVY:
        (folder / f"{name}.py").write_text(STAND_IN, encoding="utf-8")
    return folder


def ask(folder: Path, code: str) -> str:
    """Run code where the stand-ins are in the way; return who asked for any of them."""
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return "".join(file.read_text() for file in folder.glob("*.asked"))


@pytest.mark.slow
def test_what_compares_samples_does_not_ask_for_torch(without_torch: Path) -> None:
    assert ask(without_torch, CALLS) == ""


def test_whoever_asks_for_torch_is_seen(without_torch: Path) -> None:
    code = "import verisimile as vs\ntry:\n    vs.SplineFlowTrainer\nexcept ImportError:\n    pass"
    assert "trainer.py" in ask(without_torch, code)
