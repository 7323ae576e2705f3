"""``verisimile validate`` on trees with lists of objects: features and cuts read from them."""

from __future__ import annotations

import json
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot
from typer.testing import CliRunner

from verisimile.app.cli import app
from verisimile.core.random import Seeds

SHORT = ("--permutations", "99", "--executor", "serial", "--tests", "max-ks")
CUT = "count(Jet_pt) > 0 && Jet_pt[0] > 10"


@pytest.fixture
def samples(tmp_path: Path) -> dict[str, int]:
    """Write two trees; return how many of their events the cut leaves."""
    left = {}
    for name, n in (("truth", 300), ("fast", 260)):
        rng = Seeds(8).at(name).numpy()
        lengths = rng.integers(0, 4, n)
        jets = ak.unflatten(rng.exponential(30.0, lengths.sum()).astype(np.float32), lengths)
        with uproot.recreate(tmp_path / f"{name}.root") as file:
            tree = file.mktree("Events", {"Jet": 'var * {"pt": float32}', "MET_pt": "float64"})
            tree.extend({"Jet": ak.zip({"pt": jets}), "MET_pt": rng.exponential(40.0, n)})
        left[name] = int(ak.sum(ak.fill_none(ak.firsts(jets) > 10, value=False)))
    return left


def validated(folder: Path, *words: str) -> tuple[int, str, str]:
    files = [f"{folder}/{name}.root:Events" for name in ("truth", "fast")]
    outcome = CliRunner().invoke(
        app, ["validate", *files, *words, *SHORT, "--out", str(folder / "out")]
    )
    return (
        outcome.exit_code,
        outcome.output,
        (folder / "out/result.json").read_text(encoding="utf-8"),
    )


@pytest.mark.parametrize(
    "words",
    [
        ("--features", "MET_pt,max(Jet_pt),hypot(Jet_pt[0], MET_pt)"),
        ("--features", "MET_pt", "--observable", "ht=sum(Jet_pt)"),
        (),
    ],
    ids=["features", "observable", "all"],
)
def test_cuts_and_features_of_lists(
    tmp_path: Path, samples: dict[str, int], words: tuple[str, ...]
) -> None:
    code, said, result = validated(tmp_path, *words, "--cut", CUT)
    assert code in (0, 1, 3), said
    for role, name, before in (("reference", "truth", 300), ("generated", "fast", 260)):
        note = f"the cut leaves {samples[name]} of {before} events of the {role} sample"
        assert note in result
    assert json.loads(result)
