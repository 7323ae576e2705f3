"""The same events are the same, in whatever form they are given."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from reader_forms import FORMS, Columns, Form
from verisimile.core.random import Seeds
from verisimile.core.result import to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.validation.result import Validation
from verisimile.validation.study import Battery, Samples, Study
from verisimile.validation.validate import validate


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


@functools.cache
def validated(seed: int) -> tuple[Events, Validation]:
    """Return a reference sample, and its validation of the events as an array gives them."""
    rng = np.random.default_rng(seed)
    columns = ("m", "pt", "jets")
    reference = Events(rng.normal(50.0, 10.0, (200, 3)), names=columns)
    content = comparable_values()
    x = np.column_stack([content[name] for name in columns]).astype(np.float64)
    return reference, validate(RUN, reference, Events(x, names=columns), study=QUICK)


RUN = Run(Seeds(5))
QUICK = Study(
    samples=Samples(features=("m", "pt", "jets")),
    battery=Battery(
        tests=("energy", "max-ks"),
        permutations=19,
        sensitivity=False,
        physics=False,
        support=False,
    ),
)


def comparable_values() -> dict[str, npt.NDArray[Any]]:
    rng = np.random.default_rng(8)
    return {
        "m": rng.normal(50.0, 10.0, 200),
        "pt": rng.normal(50.0, 10.0, 200).astype(np.float32),
        "jets": rng.integers(20, 80, 200).astype(np.int32),
    }


@pytest.mark.parametrize("form", GIVEN, ids=str)
def test_every_form_gives_the_same_validation(form: Form, tmp_path: Path) -> None:
    reference, expected = validated(4)
    given = form.make(tmp_path, comparable_values())
    if form.name.startswith("matrix"):
        given = Events(given, names=("m", "pt", "jets"))
    found = validate(RUN, reference, given, study=QUICK)
    assert to_dict(found) == to_dict(expected)
