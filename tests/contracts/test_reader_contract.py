"""Every file format gives the same events, and tells the same faults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import uproot
from astropy.io import fits

from verisimile.core.errors import InputError, SupportError
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.files import read_events, write_events

Columns = Mapping[str, npt.NDArray[Any]]


def parquet(path: Path, columns: Columns) -> None:
    pa.parquet.write_table(pa.table(dict(columns)), path)


def csv(path: Path, columns: Columns) -> None:
    # The shortest decimals of a float32 are another double.
    wide = {n: v.astype(np.float64) if v.dtype.kind == "f" else v for n, v in columns.items()}
    pa.csv.write_csv(pa.table(wide), path)


def npz(path: Path, columns: Columns) -> None:
    np.savez(path, **columns)  # type: ignore[arg-type]


def hdf5_group(path: Path, columns: Columns) -> None:
    with h5py.File(path, "w") as file:
        group = file.create_group("deep/events", track_order=True)
        for name, values in columns.items():
            is_text = values.dtype.kind == "U"
            group.create_dataset(name, data=values.astype("S") if is_text else values)


def hdf5_table(path: Path, columns: Columns) -> None:
    kinds = [(n, "S3" if v.dtype.kind == "U" else v.dtype) for n, v in columns.items()]
    table = np.empty(len(next(iter(columns.values()))), dtype=kinds)
    for name, values in columns.items():
        table[name] = values
    with h5py.File(path, "w") as file:
        file["table"] = table


def root_tree(path: Path, columns: Columns) -> None:
    columns = {n: np.array(v, "S") if v.dtype.kind == "U" else v for n, v in columns.items()}
    with uproot.recreate(path) as file:
        numbers = {n: v for n, v in columns.items() if v.dtype.kind != "S"}
        pairs = {n: np.zeros((len(v), 2)) for n, v in columns.items() if v.dtype.kind == "S"}
        kinds = {n: np.dtype((v.dtype, v.shape[1:])) for n, v in (numbers | pairs).items()}
        file.mktree("dir/Events", kinds).extend(numbers | pairs)


def root_ntuple(path: Path, columns: Columns) -> None:
    numbers = {n: v for n, v in columns.items() if v.dtype.kind != "U"}
    texts = {n: v.tolist() for n, v in columns.items() if v.dtype.kind == "U"}
    with uproot.recreate(path) as file:
        file.mkrntuple("Events", numbers | texts)


def fits_table(path: Path, columns: Columns) -> None:
    codes = {"f8": "D", "f4": "E", "i8": "K", "i4": "J", "b1": "L"}
    made = [
        fits.Column(name, codes.get(values.dtype.str[1:], "3A"), array=values)
        for name, values in columns.items()
    ]
    fits.BinTableHDU.from_columns(made, name="EVENTS").writeto(path, checksum=True)


@dataclass(frozen=True)
class Format:
    """How to write columns to a file, and what to append to its name to read them."""

    name: str
    write: Callable[[Path, Columns], None]
    part: str = ""


FORMATS = [
    Format("events.parquet", parquet),
    Format("events.csv", csv),
    Format("events.npz", npz),
    Format("group.h5", hdf5_group, ":deep/events"),
    Format("table.hdf5", hdf5_table, ":table"),
    Format("tree.root", root_tree, ":dir/Events"),
    Format("ntuple.root", root_ntuple, ":Events"),
    Format("table.fits", fits_table, ":EVENTS"),
    Format("table.fits.gz", fits_table),
]
NAMED = pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)


def columns(n: int = 40) -> dict[str, npt.NDArray[Any]]:
    rng = Seeds(11).at("reader contract").numpy()
    return {
        "mass": rng.normal(91.2, 2.5, n),
        "pt": rng.exponential(10.0, n).astype(np.float32),
        "jets": rng.integers(0, 9, n).astype(np.int32),
        "w": rng.normal(size=n),
    }


def saved(form: Format, folder: Path, content: Columns) -> str:
    form.write(folder / form.name, content)
    return f"{folder / form.name}{form.part}"


@NAMED
def test_the_same_columns_give_the_same_events(form: Format, tmp_path: Path) -> None:
    content = columns()
    uri = saved(form, tmp_path, content)
    events = read_events(uri, features=["mass", "pt", "jets"], weights="w")
    x = np.column_stack([content[name].astype(np.float64) for name in ("mass", "pt", "jets")])
    expected = Events(x, content["w"], names=("mass", "pt", "jets"))
    assert events.digest == expected.digest


@NAMED
def test_features_are_matched_by_name_in_the_order_asked_for(form: Format, tmp_path: Path) -> None:
    content = columns()
    events = read_events(saved(form, tmp_path, content), features=["jets", "mass"])
    assert events.names == ("jets", "mass")
    assert events.weights is None
    np.testing.assert_array_equal(events.column("mass"), content["mass"])
    np.testing.assert_array_equal(events.column("jets"), content["jets"])


@NAMED
def test_by_default_every_numeric_column_but_the_weights(form: Format, tmp_path: Path) -> None:
    content = {**columns(), "tag": np.array(["ab", "cd"] * 20)}
    events = read_events(saved(form, tmp_path, content), weights="w")
    assert sorted(events.names) == ["jets", "mass", "pt"]
    assert events.weights is not None
    np.testing.assert_array_equal(events.weights, content["w"])


@NAMED
@pytest.mark.parametrize(
    ("features", "weights", "message"),
    [
        (["mass", "Pt"], None, "no column 'Pt'; expected columns among .*Did you mean 'pt'"),
        (["mass"], "weigth", "no column 'weigth'"),
        (
            ["mass", "tag"],
            None,
            "column 'tag': got .*; expected a (flat column of integers|number in every cell)",
        ),
        (["mass", "mass"], None, "repeated columns 'mass'"),
        ([], None, "expected a sequence of column names"),
        (["w"], "w", "no numeric feature"),
    ],
    ids=["missing", "no weights", "text", "repeated", "none", "only weights"],
)
def test_unusable_requests_are_told(
    form: Format, tmp_path: Path, features: list[str], weights: str | None, message: str
) -> None:
    uri = saved(form, tmp_path, {**columns(), "tag": np.array(["ab", "cd"] * 20)})
    with pytest.raises(InputError, match=message):
        read_events(uri, features=features, weights=weights)


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        pytest.param(form, kind, id=f"{form.name}-{kind}")
        for form in FORMATS
        for kind in ("large numbers", "floats", "text")
        if not (kind == "text" and form.write is root_tree)  # which writes no text
    ],
)
def test_groups_are_labels_of_any_kind_and_no_feature(
    form: Format, tmp_path: Path, kind: str
) -> None:
    numbers = Seeds(12).at("groups").numpy().integers(0, 9, 40)
    labels = {
        "large numbers": numbers + 2**60,
        "floats": numbers.astype(np.float64),
        "text": np.array([f"e{number}" for number in numbers]),
    }[kind]
    events = read_events(
        saved(form, tmp_path, {**columns(), "event": labels}), weights="w", group="event"
    )
    assert sorted(events.names) == ["jets", "mass", "pt"]
    assert events.group is not None
    np.testing.assert_array_equal(events.group, Events(events.x, group=numbers).group)


@NAMED
@pytest.mark.parametrize(
    ("group", "message"),
    [
        ("evnt", "no column 'evnt'; expected columns among .*Did you mean 'event'"),
        ("mass", "events.group: got the label .* in row 0, which is not whole"),
    ],
)
def test_unusable_groups_are_told(form: Format, tmp_path: Path, group: str, message: str) -> None:
    uri = saved(form, tmp_path, {**columns(), "event": np.arange(40)})
    with pytest.raises(InputError, match=message):
        read_events(uri, features=["pt"], group=group)


@NAMED
def test_non_finite_values_are_told_with_file_and_column(form: Format, tmp_path: Path) -> None:
    content = columns()
    content["pt"][[5, 9]] = np.nan
    content["mass"][7] = np.nan
    uri = saved(form, tmp_path, content)
    with pytest.raises(InputError, match=r"column 'pt': .*'pt': 2, 'mass': 1\}.*row 5") as caught:
        read_events(uri, features=["jets", "pt", "mass"])
    assert str(caught.value).startswith(uri)


@NAMED
def test_non_finite_weights_are_told(form: Format, tmp_path: Path) -> None:
    content = columns()
    content["w"][3] = np.inf
    with pytest.raises(InputError, match="weights: got 1 non-finite values, the first in row 3"):
        read_events(saved(form, tmp_path, content), features=["mass"], weights="w")


@NAMED
def test_files_without_events_are_told(form: Format, tmp_path: Path) -> None:
    uri = saved(form, tmp_path, {name: values[:0] for name, values in columns().items()})
    with pytest.raises(InputError, match="no events"):
        read_events(uri, features=["mass", "pt"])


@NAMED
def test_integers_beyond_a_double_are_told(form: Format, tmp_path: Path) -> None:
    content = {**columns(), "event": np.arange(40) + 2**60}
    with pytest.raises(InputError, match=r"'event': got integers such as 115.*beyond 2\*\*53"):
        read_events(saved(form, tmp_path, content), features=["mass", "event"])


@NAMED
def test_values_outside_a_given_support_are_told(form: Format, tmp_path: Path) -> None:
    specs = {"mass": Feature("mass", low=200.0)}
    with pytest.raises(SupportError, match="40 values outside"):
        read_events(saved(form, tmp_path, columns()), features=["mass"], specs=specs)


# Half of a text file is a text file.
@pytest.mark.parametrize("form", [f for f in FORMATS if f.write != csv], ids=lambda f: f.name)
def test_damaged_files_are_told(form: Format, tmp_path: Path) -> None:
    uri = saved(form, tmp_path, columns())
    path = tmp_path / form.name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="cannot be read") as caught:
        read_events(uri, features=["mass", "pt", "jets", "w"])
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    "name",
    [
        *("a.parquet", "a.csv", "a.npz", "a.h5", "a.h5:deep/group", "a.hdf5", "a.root"),
        *("a.root:tree", "a.fits", "a.fits:TABLE", "a.fit", "a.fits.gz"),
    ],
)
def test_written_events_are_read_back(name: str, tmp_path: Path) -> None:
    content = columns()
    x = np.column_stack([content["mass"], content["pt"]])
    events = Events(x, content["w"], names=("mass", "pt"))
    write_events(events, f"{tmp_path}/{name}")
    uri = f"{tmp_path}/{name}" + (":events" if name == "a.root" else "")
    assert read_events(uri, weights="weight").digest == events.digest
    grouped = Events(x, content["w"], names=("mass", "pt"), group=content["jets"])
    write_events(grouped, f"{tmp_path}/{name}")
    assert read_events(uri, weights="weight", group="group").digest == grouped.digest
    assert [path.name for path in tmp_path.iterdir()] == [name.split(":")[0]]
