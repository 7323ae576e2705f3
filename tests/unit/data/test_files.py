from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import uproot

from verisimile.core.errors import InputError, SupportError
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.files import read_events, read_generated, write_events

FEATURES = (
    Feature("m", unit="GeV", label="$m$", low=60.0, high=120.0),
    Feature("pt", unit="GeV", low=0.0, transform="log"),
)


@pytest.fixture
def events(rng: np.random.Generator) -> Events:
    x = np.column_stack([rng.uniform(60, 120, 30), rng.exponential(size=30)])
    return Events(x, rng.normal(size=30), features=FEATURES)


def test_parquet_carries_the_specifications(events: Events, tmp_path: Path) -> None:
    path = tmp_path / "z.parquet"
    write_events(events, path)
    assert read_events(path, weights="weight").features == FEATURES
    assert read_events(path, features=["pt"]).features == FEATURES[1:]


def test_given_specifications_override_those_of_the_file(events: Events, tmp_path: Path) -> None:
    write_events(events, tmp_path / "z.parquet")
    wide = Feature("m", unit="GeV", low=0.0)
    read = read_events(tmp_path / "z.parquet", features=["m", "pt"], specs={"m": wide})
    assert read.features == (wide, FEATURES[1])


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ({"n": Feature("n")}, "described features: got no column 'n'"),
        ({"m": Feature("mass")}, r"specs\['m'\]: got a feature named 'mass'"),
    ],
)
def test_specifications_of_other_columns_are_told(
    events: Events, tmp_path: Path, specs: dict[str, Feature], message: str
) -> None:
    write_events(events, tmp_path / "z.parquet")
    with pytest.raises(InputError, match=message):
        read_events(tmp_path / "z.parquet", features=["m"], specs=specs)


def test_support_errors_keep_their_kind_and_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "z.csv").write_text("m,pt\n1,2\n3,4\n")
    with pytest.raises(SupportError, match=r"z.csv: events.x, column 'm'"):
        read_events(tmp_path / "z.csv", specs={"m": Feature("m", high=2.0)})


@pytest.mark.parametrize("name", ["weight", "weights"])
def test_unclaimed_weights_are_neither_read_nor_dropped_in_silence(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "z.npz"
    np.savez(path, m=np.arange(3.0), **{name: np.ones(3)})  # type: ignore[arg-type]
    with pytest.raises(InputError, match=f"Say weights='{name}', or ignore="):
        read_events(path)
    assert read_events(path, features=["m"]).weights is None
    assert read_events(path, weights=name).names == ("m",)


@pytest.mark.parametrize("name", ["group", "groups"])
def test_unclaimed_groups_are_neither_read_nor_dropped_in_silence(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "z.npz"
    np.savez(path, m=np.arange(3.0), **{name: [1, 1, 2]})  # type: ignore[arg-type]
    with pytest.raises(InputError, match=f"Say group='{name}', or ignore="):
        read_events(path)
    assert read_events(path, features=["m"]).group is None
    assert read_events(path, group=name).n_groups == 2
    with pytest.raises(InputError, match="group are 'm' already"):
        read_events(path, group="m")
    assert read_events(path, features=[name], group="m").names == (name,)


def test_groups_of_a_bare_matrix_come_last(tmp_path: Path) -> None:
    np.save(tmp_path / "z.npy", np.array([[1.0, 0.5, 7.0], [2.0, 0.5, 7.0], [3.0, 1.0, 9.0]]))
    events = read_events(tmp_path / "z.npy", features=["m"], weights="w", group="event")
    assert (events.names, events.n_groups) == (("m",), 2)
    assert events.weights is not None
    assert events.weights.tolist() == [0.5, 0.5, 1.0]


def test_a_feature_called_group_leaves_no_room_for_groups(tmp_path: Path) -> None:
    events = Events([[1.0], [2.0]], names=("group",), group=[0, 0])
    with pytest.raises(InputError, match="a feature named 'group' beside groups of rows"):
        write_events(events, tmp_path / "z.npz")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("z.txt", "unknown file format; expected a name ending in .parquet, .feather"),
        ("z", "unknown file format"),
        ("z.npy:tree", "a part 'tree' of a .npy file"),
        ("nothing.parquet", "no such file"),
        ("vents.parquet", "no such file.*Did you mean 'events.parquet'"),
        ("folder.parquet", "got a folder"),
        ("empty.csv", "got an empty file"),
        ("gone/z.csv", "no such file"),
    ],
)
def test_unusable_names_are_told(tmp_path: Path, uri: str, message: str) -> None:
    (tmp_path / "folder.parquet").mkdir()
    (tmp_path / "empty.csv").touch()
    (tmp_path / "events.parquet").touch()
    with pytest.raises(InputError, match=message):
        read_events(tmp_path / uri)


def test_a_path_may_contain_colons_and_suffixes(events: Events, tmp_path: Path) -> None:
    folder = tmp_path / "a.root" / "b:c"
    folder.mkdir(parents=True)
    uri = f"{folder}/d:e.ROOT:dir/tree"
    write_events(events, uri)
    assert read_events(uri, weights="weight").digest == events.digest


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("", r"tree: got no tree named; expected one of the file's: 'first', 'dir/second'"),
        (":frist", "no tree 'frist'.*Did you mean 'first'"),
        (":histogram", "no tree 'histogram'"),
    ],
)
def test_root_trees_must_be_named(tmp_path: Path, part: str, message: str) -> None:
    with uproot.recreate(tmp_path / "z.root") as file:
        for tree in ("first", "dir/second"):
            file.mktree(tree, {"m": "float64"}).extend({"m": np.arange(3.0)})
        file["histogram"] = np.histogram([1.0, 2.0])
    with pytest.raises(InputError, match=message):
        read_events(f"{tmp_path}/z.root{part}")
    assert read_events(f"{tmp_path}/z.root:dir/second").n == 3
    assert read_events(f"{tmp_path}/z.root:first;1").n == 3


def test_branches_are_names_and_not_expressions(tmp_path: Path) -> None:
    columns = {"a": np.arange(3.0), "b": np.ones(3), "a-b": np.full(3, 7.0)}
    with uproot.recreate(tmp_path / "z.root") as file:
        file.mktree("t", dict.fromkeys(columns, "float64")).extend(columns)
    assert read_events(f"{tmp_path}/z.root:t", features=["a-b"]).x[:, 0].tolist() == [7, 7, 7]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("", "group: got no group named; expected one of the file's: 'a/good', 'matrix'"),
        (":a", "no group 'a'; expected one of"),
        (":a/goood", "Did you mean 'a/good'"),
    ],
)
def test_hdf5_groups_must_be_named(tmp_path: Path, part: str, message: str) -> None:
    with h5py.File(tmp_path / "z.h5", "w") as file:
        file["a/good/m"] = np.arange(3.0)
        file["matrix/x"] = np.ones((3, 2))
    with pytest.raises(InputError, match=message):
        read_events(f"{tmp_path}/z.h5{part}")
    assert read_events(f"{tmp_path}/z.h5:a/good").names == ("m",)
    assert read_events(f"{tmp_path}/z.h5:/a/good/").names == ("m",)


def test_hdf5_datasets_at_the_root_need_no_group(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "z.h5", "w") as file:
        file["m"] = np.arange(3.0)
        file["other/m"] = np.arange(5.0)
    assert read_events(tmp_path / "z.h5").n == 3
    assert read_events(f"{tmp_path}/z.h5:/").n == 3
    assert read_events(f"{tmp_path}/z.h5:other").n == 5


@pytest.mark.parametrize("uri", ["z.h5", "z.h5:x", "z.npy", "z.npz"])
def test_a_bare_matrix_needs_names(tmp_path: Path, uri: str) -> None:
    matrix = np.arange(6.0).reshape(2, 3)
    with h5py.File(tmp_path / "z.h5", "w") as file:
        file["x"] = matrix
    np.save(tmp_path / "z.npy", matrix)
    np.savez(tmp_path / "z.npz", matrix)
    path = f"{tmp_path}/{uri}"
    with pytest.raises(InputError, match="bare matrix of 3 columns and no names"):
        read_events(path)
    with pytest.raises(InputError, match="3 columns and 2 names"):
        read_events(path, features=["a", "b"])
    assert read_events(path, features=["a", "b", "c"]).x.tolist() == matrix.tolist()
    weighted = read_events(path, features=["a", "b"], weights="w")
    assert weighted.names == ("a", "b")
    assert weighted.weights is not None
    assert weighted.weights.tolist() == [2.0, 5.0]
    chosen = read_events(path, features=["a", "b", "c"], weights="a")
    assert chosen.names == ("b", "c")


def test_structured_npy_arrays_have_names(tmp_path: Path) -> None:
    table = np.array([(1, 2.5), (3, 4.5)], dtype=[("jets", "i4"), ("m", "f8")])
    np.save(tmp_path / "z.npy", table)
    assert read_events(tmp_path / "z.npy", features=["m", "jets"]).x.tolist() == [
        [2.5, 1],
        [4.5, 3],
    ]


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros((2, 2, 2)), np.float64(1.0)], ids=repr)
def test_npy_arrays_of_other_shapes_are_told(
    tmp_path: Path, array: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> None:
    np.save(tmp_path / "z.npy", array)
    with pytest.raises(InputError, match="expected a matrix"):
        read_events(tmp_path / "z.npy", features=["m"])


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "z.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read .*Python objects"):
        read_events(tmp_path / "z.npy", features=["m"])


def test_columns_of_unequal_length_are_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "z.npz", m=np.arange(3.0), pt=np.arange(4.0))
    with pytest.raises(InputError, match=r"lengths \{'m': 3, 'pt': 4\}"):
        read_events(tmp_path / "z.npz")


def test_nested_columns_are_no_features_and_booleans_are(tmp_path: Path) -> None:
    table = pa.table({"m": [1.0, 2.0], "ok": [True, False], "jets": [[1.0], [2.0, 3.0]]})
    pa.parquet.write_table(table, tmp_path / "z.parquet")
    events = read_events(tmp_path / "z.parquet")
    assert events.names == ("m", "ok")
    assert events.column("ok").tolist() == [1.0, 0.0]
    assert events.account is not None
    assert [(one.name, one.doubtful) for one in events.account.left_out] == [("jets", False)]
    with pytest.raises(InputError, match="column 'jets': got values of type list"):
        read_events(tmp_path / "z.parquet", features=["jets"])


def test_what_a_generator_lost_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("x,y,note\n1,2,a\n,3,b\n4,inf,c\n5,6,d\n", encoding="utf-8")
    drawn = read_generated(path, features=["y", "x"])
    assert drawn.missed == 2
    np.testing.assert_array_equal(drawn.events.x, [[2, 1], [6, 5]])
    np.testing.assert_array_equal(drawn.rows, [[2, 1], [6, 5], [np.nan] * 2, [np.nan] * 2])
    with pytest.raises(InputError, match="missing values .*'x': 1"):
        read_events(path, features=["y", "x"])
    path.write_text("x\nnan\ninf\n", encoding="utf-8")
    with pytest.raises(InputError, match="no finite row among 2"):
        read_generated(path, features=["x"])


def test_missing_values_are_not_finite(tmp_path: Path) -> None:
    pa.parquet.write_table(pa.table({"jets": [1, None, 3]}), tmp_path / "z.parquet")
    (tmp_path / "z.csv").write_text("jets,m\n1,1\n,2\n3,3\n")
    for name in ("z.parquet", "z.csv"):
        with pytest.raises(InputError, match=r"column 'jets': .*row 1"):
            read_events(tmp_path / name, features=["jets"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1.0,2.0\n3.0,4.0\n", r"numbers in the first line \(1.0, 2.0\).*Add a header"),
        ("m;pt\n1;2\n", "with semicolons in its name; expected columns separated by commas"),
        ("m,m\n1,2\n", "repeated columns 'm'"),
        ("m,pt\n1,2\n3\n", r"1 cells in row 1 \(line 3 of the file\): '3'"),
        ("m,pt\n1,2\n3,x\n", r"column 'pt': got text 'x' in row 1 \(line 3 of the file\), 1 of 2"),
        ("m,pt\n", "a header and no events; expected events"),
    ],
)
def test_csv_faults_are_told(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "z.csv").write_text(text)
    names = None if ";" in text or "m" not in text else ["m", "pt"]
    with pytest.raises(InputError, match=message):
        read_events(tmp_path / "z.csv", features=names)


@pytest.mark.parametrize(("module", "uri"), [("uproot", "z.root:t"), ("h5py", "z.h5:g")])
def test_missing_libraries_are_told(
    events: Events, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, uri: str
) -> None:
    write_events(events, f"{tmp_path}/{uri}")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=rf"{module}: .*pip install 'verisimile\[io\]'"):
        read_events(f"{tmp_path}/{uri}")
    with pytest.raises(InputError, match="pip install"):
        write_events(events, f"{tmp_path}/{uri}")
