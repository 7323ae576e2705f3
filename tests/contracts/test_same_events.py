"""The same events are the same, in whatever form they are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from reader_forms import FORMS, Columns, Form
from verisimile.data.events import Events


def hdf5_matrix(folder: Path, columns: Columns) -> str:
    with h5py.File(folder / "z.h5", "w") as file:
        file["events"] = np.column_stack(list(columns.values())).astype(np.float64)
    return f"{folder / 'z.h5'}:events"


def npy_matrix(folder: Path, columns: Columns) -> Path:
    np.save(folder / "z.npy", np.column_stack(list(columns.values())).astype(np.float64))
    return folder / "z.npy"


# One line for each further form; a bare matrix takes its names from the features.
GIVEN = [*FORMS, Form("matrix in hdf5", hdf5_matrix), Form("matrix in npy", npy_matrix)]


def values() -> dict[str, npt.NDArray[Any]]:
    """Return doubles of every size, single precision, integers, and signed weights."""
    rng = np.random.default_rng(7)
    bits = rng.integers(0, 2**63, 400).view(np.float64)
    return {
        "m": bits[np.isfinite(bits)][:300],
        "pt": rng.exponential(10.0, 300).astype(np.float32),
        "jets": rng.integers(-3, 9, 300).astype(np.int32),
        "w": rng.normal(size=300),
    }


@pytest.mark.parametrize("form", GIVEN, ids=str)
def test_every_form_gives_the_same_events(form: Form, tmp_path: Path) -> None:
    content = values()
    x = np.column_stack([content[name].astype(np.float64) for name in ("m", "pt", "jets")])
    expected = Events(x, content["w"], names=("m", "pt", "jets"))
    events = Events(form.make(tmp_path, content), "w", names=("m", "pt", "jets"))
    np.testing.assert_array_equal(events.x, expected.x)
    assert events.digest == expected.digest
