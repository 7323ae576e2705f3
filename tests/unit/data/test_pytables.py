"""Frames that pandas writes through PyTables are read as frames, and nothing is unpickled."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import pandas as pd
import pytest
import tables

from verisimile.core.errors import InputError
from verisimile.data.files import read_events
from verisimile.data.formats.pytables import plain

Layout = Literal["fixed", "table"]

# PyTables warns of names that are no Python identifiers, pandas of what it pickles.
pytestmark = [
    pytest.mark.filterwarnings("ignore::tables.NaturalNameWarning"),
    pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning"),
]
LAYOUTS = pytest.mark.parametrize("layout", ["fixed", "table"])
N = 6


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "mass": np.arange(N) + 0.5,
            "jets": np.arange(N) * 3,
            "pt": np.arange(N) * 2.0,
            "tight": np.arange(N) % 2 == 0,
            "slow": np.arange(N, dtype=np.float32),
        }
    )


def write(content: Any, path: Path, layout: Layout, key: str = "df", **options: Any) -> str:  # noqa: ANN401
    content.to_hdf(path, key=key, format=layout, **options)
    return str(path)


def expected(content: pd.DataFrame) -> np.ndarray[Any, Any]:
    return np.asarray(content.to_numpy(dtype=np.float64))


@LAYOUTS
@pytest.mark.parametrize("part", ["", ":df", ":/df/"])
def test_a_frame_is_read_by_the_names_of_its_columns(
    layout: Layout, part: str, tmp_path: Path
) -> None:
    content = frame()
    events = read_events(write(content, tmp_path / "z.h5", layout) + part)
    assert events.names == ("mass", "jets", "pt", "tight", "slow")
    np.testing.assert_array_equal(events.x, expected(content))
    assert events.account is not None
    assert [(item.name, item.reason) for item in events.account.left_out] == [
        ("index", "the index of the frame")
    ]


@LAYOUTS
def test_columns_are_chosen_by_name(layout: Layout, tmp_path: Path) -> None:
    uri = write(frame(), tmp_path / "z.h5", layout)
    events = read_events(uri, features=["slow", "mass"], weights="pt", group="jets")
    np.testing.assert_array_equal(events.x, expected(frame()[["slow", "mass"]]))
    assert events.weights is not None
    assert events.weights.tolist() == frame()["pt"].tolist()
    assert events.n_groups == N
    assert read_events(uri, features=["index"]).x[:, 0].tolist() == list(range(N))
    with pytest.raises(InputError, match="no column 'block0_values'"):
        read_events(uri, features=["block0_values"])


def test_columns_of_their_own_in_a_table(tmp_path: Path) -> None:
    uri = write(frame(), tmp_path / "z.h5", "table", data_columns=["pt", "tight"])
    events = read_events(uri)
    assert events.names == ("mass", "jets", "pt", "tight", "slow")
    np.testing.assert_array_equal(events.x, expected(frame()))
    assert read_events(f"{uri}:df/table").digest == events.digest


@LAYOUTS
def test_dates_and_text_are_left_out(layout: Layout, tmp_path: Path) -> None:
    content = frame().assign(
        when=pd.date_range("2020", periods=N),
        took=pd.to_timedelta(np.arange(N), "s"),
        tag=list("abcdef"),
    )
    events = read_events(write(content, tmp_path / "z.h5", layout))
    assert events.names == tuple(frame().columns)
    assert events.account is not None
    left = {item.name: item.reason for item in events.account.left_out}
    assert left["when"].startswith("values of type datetime64")
    assert left["took"].startswith("values of type timedelta64")
    assert left["tag"] == {"fixed": "text that pandas pickled", "table": "text"}[layout]
    assert events.account.doubts == ()


@pytest.mark.parametrize(("of", "doubtful"), [(list("aabbcc"), ()), ([1, 1, 2, 2, 9, 9], ("c",))])
def test_codes_of_categories_are_no_numbers(
    of: list[object], doubtful: tuple[str, ...], tmp_path: Path
) -> None:
    content = frame().assign(c=pd.Categorical(of))
    events = read_events(write(content, tmp_path / "z.h5", "table"))
    assert events.names == tuple(frame().columns)
    assert events.account is not None
    assert ("c", "categories") in [(i.name, i.reason) for i in events.account.left_out]
    assert tuple(item.name for item in events.account.doubts) == doubtful


def test_pickled_objects_are_refused_and_never_read(tmp_path: Path) -> None:
    content = frame().assign(mixed=[1, "a", None, 2.0, 3, 4])
    uri = write(content, tmp_path / "z.h5", "fixed")
    with pytest.raises(InputError, match="column 'mixed': got Python objects that pandas pickled"):
        read_events(uri)
    assert read_events(uri, ignore=["mixed"]).names == tuple(frame().columns)
    assert read_events(uri, features=["pt"]).names == ("pt",)


@LAYOUTS
@pytest.mark.parametrize(
    "names", [[0, 1], ["é", "p ü"], [("a", "x"), ("a", "y")], [0.5, 1.5], ["index", "values"]]
)
def test_names_of_any_kind(names: list[Any], layout: Layout, tmp_path: Path) -> None:
    content = frame()[["mass", "pt"]]
    content.columns = (
        pd.MultiIndex.from_tuples(names) if isinstance(names[0], tuple) else pd.Index(names)
    )
    if layout == "table" and "index" in names:
        content.columns = pd.Index(["Index", "values"])
        names = ["Index", "values"]
    events = read_events(write(content, tmp_path / "z.h5", layout))
    assert events.names == tuple(map(str, names))
    np.testing.assert_array_equal(events.x, expected(content))


@LAYOUTS
@pytest.mark.parametrize(
    "index",
    [
        pd.MultiIndex.from_product([[1, 2], [1, 2, 3]], names=["run", "event"]),
        pd.date_range("2020", periods=N),
        pd.Index(list("abcdef")),
        pd.Index(np.arange(N) * 0.5, name="x"),
    ],
    ids=["levels", "dates", "text", "floats"],
)
def test_an_index_of_any_kind_is_left_out(index: Any, layout: Layout, tmp_path: Path) -> None:  # noqa: ANN401
    content = frame().set_index(index)
    events = read_events(write(content, tmp_path / "z.h5", layout))
    assert events.names == tuple(frame().columns)
    np.testing.assert_array_equal(events.x, expected(frame()))
    assert events.account is not None
    assert {item.reason for item in events.account.left_out} == {"the index of the frame"}


@LAYOUTS
def test_missing_values_are_told(layout: Layout, tmp_path: Path) -> None:
    content = frame()
    content.loc[2, "pt"] = np.nan
    uri = write(content, tmp_path / "z.h5", layout)
    with pytest.raises(InputError, match="column 'pt': got missing values"):
        read_events(uri)
    assert read_events(uri, missing="drop").n == N - 1


@LAYOUTS
def test_several_frames_are_chosen_by_their_keys(layout: Layout, tmp_path: Path) -> None:
    write(frame(), tmp_path / "z.h5", layout, "first")
    uri = write(frame()[["pt"]], tmp_path / "z.h5", layout, "deep/second")
    with pytest.raises(InputError, match="one of the file's: 'deep/second', 'first'"):
        read_events(uri)
    with pytest.raises(InputError, match="no group 'frist'.*Did you mean 'first'"):
        read_events(f"{uri}:frist")
    assert read_events(f"{uri}:deep/second").names == ("pt",)


@LAYOUTS
def test_a_series_is_a_column(layout: Layout, tmp_path: Path) -> None:
    uri = write(frame()["mass"], tmp_path / "z.h5", layout)
    events = read_events(uri)
    assert events.names == ("mass",)
    assert events.x[:, 0].tolist() == frame()["mass"].tolist()


def test_no_events_are_told(tmp_path: Path) -> None:
    uri = write(frame().iloc[:0][["mass", "pt"]], tmp_path / "z.h5", "fixed")
    with pytest.raises(InputError, match="no events in the frame '/df'"):
        read_events(uri)


@LAYOUTS
def test_zlib_is_read_and_blosc_named(layout: Layout, tmp_path: Path) -> None:
    content = frame()
    uri = write(content, tmp_path / "z.h5", layout, complevel=5, complib="zlib")
    np.testing.assert_array_equal(read_events(uri).x, expected(content))
    uri = write(content, tmp_path / "b.h5", layout, complevel=5, complib="blosc")
    with pytest.raises(InputError, match="compressed with blosc.*complib='zlib'"):
        read_events(uri)


def test_a_frame_without_the_attributes_of_pandas(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "z.h5", "w") as file:
        file["df/axis0"] = [b"mj1", b"tau21"]
        file["df/axis1"] = np.arange(N)
        file["df/block0_items"] = [b"mj1", b"tau21"]
        file["df/block0_values"] = np.column_stack([np.arange(N) + 0.5, np.ones(N)])
    events = read_events(tmp_path / "z.h5")
    assert events.names == ("mj1", "tau21")
    assert events.column("mj1").tolist() == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]


def test_a_frame_of_which_a_part_is_missing_is_told(tmp_path: Path) -> None:
    uri = write(frame(), tmp_path / "z.h5", "fixed")
    with h5py.File(uri, "a") as file:
        del file["df/block1_values"]
    with pytest.raises(InputError, match="expected the frame's columns"):
        read_events(uri)


def test_blocks_that_lie_in_another_file_are_not_read(tmp_path: Path) -> None:
    uri = write(frame()[["mass", "pt"]], tmp_path / "z.h5", "fixed")
    other = write(frame()[["mass", "pt"]], tmp_path / "other.h5", "fixed")
    with h5py.File(uri, "a") as file:
        del file["df/block0_items"]
        file["df/block0_items"] = h5py.ExternalLink(other, "/df/block0_items")
    with pytest.raises(InputError, match="got a link into another file"):
        read_events(uri)


def test_tables_of_pytables_itself(tmp_path: Path) -> None:
    class Row(tables.IsDescription):  # type: ignore[misc, unused-ignore]
        mass = tables.Float64Col(pos=0)
        tight = tables.BoolCol(pos=1)
        vector = tables.Float32Col(shape=(3,), pos=2)

    with tables.open_file(tmp_path / "z.h5", "w") as file:
        table = file.create_table("/", "events", Row)
        for j in range(N):
            table.row["mass"], table.row["tight"] = j + 0.5, j % 2 == 0
            table.row.append()
        table.flush()
        table.cols.mass.create_index()
        file.create_earray("/", "x", obj=np.ones((N, 2)))
    events = read_events(f"{tmp_path}/z.h5:events")
    assert events.names == ("mass", "tight")
    np.testing.assert_array_equal(events.x, expected(frame()[["mass", "tight"]]))
    events = read_events(f"{tmp_path}/z.h5:x", features=["a", "b"])
    assert events.x.tolist() == np.ones((N, 2)).tolist()


@pytest.mark.parametrize(
    "pickled",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"(lp0\ncbuiltins\nlist\np1\na.",
        b"(i__main__\nx\n.",
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.",
        b"(dp0\nVa\nVb\ns.",
        b"\x80\x02\x82\x01.",
        b"a.",
        b"garbage",
        b"",
        b"(lp0\nVa\n",
    ],
)
def test_pickles_of_anything_but_names_are_refused(pickled: bytes) -> None:
    with pytest.raises(InputError, match="a pickle that is no plain list of names"):
        plain(pickled, "names")


@pytest.mark.parametrize("protocol", range(5))
def test_lists_of_names_are_read_without_unpickling(protocol: int) -> None:
    names = ["a", "é", 3, 2.5, None, True, ("x", "y"), ("x", 1, 2), ("p", "q", "r", "s"), 10**12]
    assert plain(pickle.dumps(names, protocol), "names") == names


def test_a_hostile_attribute_of_a_table_is_not_run(tmp_path: Path) -> None:
    uri = write(frame(), tmp_path / "z.h5", "table")
    with h5py.File(uri, "a") as file:
        file["df/table"].attrs["values_block_0_kind"] = np.bytes_(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(InputError, match="no plain list of names .instruction GLOBAL"):
        read_events(uri)


def test_names_within_names_are_refused(tmp_path: Path) -> None:
    uri = write(frame(), tmp_path / "z.h5", "table")
    with h5py.File(uri, "a") as file:
        nested = np.bytes_(b"(lp0\n((Va\ntp1\ng1\ntp2\na.")
        file["df/table"].attrs["values_block_0_kind"] = nested
    with pytest.raises(InputError, match="names within names"):
        read_events(uri)


CASES = Path(__file__).parents[2] / "cases"


@pytest.mark.parametrize("name", ["frame_fixed_gen.h5", "frame_fixed_ref.h5"])
def test_frames_that_once_were_compared_by_their_row_numbers(name: str) -> None:
    events = read_events(CASES / name)
    assert events.names == ("mj1", "tau21")
    assert events.n == 2000
    assert events.account is not None
    assert [item.reason for item in events.account.left_out] == ["the index of the frame"]
    assert np.unique(events.x[:, 0]).size > 1900
