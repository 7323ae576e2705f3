from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from template_values import SIGNAL, falling
from verisimile.core.errors import InputError
from verisimile.mixture.templates import Templates
from verisimile.mixture.workspace import write_cabinetry


def test_cabinetry_builds_the_same_workspace(tmp_path: Path) -> None:
    templates = falling()
    path = write_cabinetry(templates, tmp_path, SIGNAL, templates.nominal)
    with warnings.catch_warnings():  # its imports add filters
        warnings.simplefilter("ignore")
        cabinetry = pytest.importorskip("cabinetry", reason="an extra of the analysis")
        built = cabinetry.workspace.build(cabinetry.configuration.load(path))
    ours: Any = templates.to_pyhf(SIGNAL, templates.nominal)
    for name in ("signal", "background"):
        theirs, mine = (
            next(s for s in made["channels"][0]["samples"] if s["name"] == name)
            for made in (built, ours)
        )
        assert theirs["data"] == pytest.approx(mine["data"])
    assert len(built["channels"][0]["samples"][1]["modifiers"]) >= len(templates.variations)


def test_every_histogram_that_the_configuration_needs_is_there(tmp_path: Path) -> None:
    templates = falling()
    path = write_cabinetry(templates, tmp_path, SIGNAL, templates.nominal, region="low mass")
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert config["Regions"][0]["Name"] == "low-mass"
    folder = Path(config["General"]["HistogramFolder"])
    for systematic in config["Systematics"]:
        for way in ("Up", "Down"):
            kept = np.load(folder / f"low-mass_background_{systematic['Name']}_{way}.npz")
            assert set(kept) == {"yields", "stdev", "bins"}


def test_several_axes_and_empty_bins_are_refused(tmp_path: Path) -> None:
    one = falling()
    two = Templates((*one.axes, *one.axes), one.nominal, one.variations, one.statistical)
    with pytest.raises(InputError, match="2 axes"):
        write_cabinetry(two, tmp_path, SIGNAL, one.nominal)
    empty = Templates(one.axes, one.nominal * 0.0, one.variations, one.statistical)
    with pytest.raises(InputError, match="without content"):
        empty.to_pyhf(SIGNAL, one.nominal)
