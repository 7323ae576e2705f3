"""HDF5: values that are not in the file, types, sizes, layouts, attributes."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from verisimile.core.errors import InputError
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.files import column_names, read_events, write_events

Make = Callable[[h5py.File, Path], None]

N = 6
MASS = np.arange(N) + 0.5


def other_file(path: Path) -> Path:
    other = path.with_name("other.h5")
    with h5py.File(other, "w") as file:
        file["pt"] = np.full(N, 7.0)
    return other


def virtual(file: h5py.File, path: Path) -> None:
    layout = h5py.VirtualLayout((N,), np.float64)
    layout[:] = h5py.VirtualSource(other_file(path), "pt", (N,))
    file.create_virtual_dataset("pt", layout)


def virtual_missing(file: h5py.File, path: Path) -> None:
    layout = h5py.VirtualLayout((N,), np.float64)
    layout[:] = h5py.VirtualSource(path.with_name("gone.h5"), "pt", (N,))
    file.create_virtual_dataset("pt", layout)


def virtual_shorter(file: h5py.File, path: Path) -> None:
    layout = h5py.VirtualLayout((N,), np.float64)
    file["kept"] = np.ones(3)
    layout[:3] = h5py.VirtualSource(file["kept"])
    file.create_virtual_dataset("pt", layout)
    del file["kept"]


def virtual_without_end(file: h5py.File, path: Path) -> None:
    layout = h5py.VirtualLayout((N,), np.float64, maxshape=(None,))
    source = h5py.VirtualSource(other_file(path), "pt", (N,), maxshape=(None,))
    layout[: h5py.h5s.UNLIMITED] = source[: h5py.h5s.UNLIMITED]
    file.create_virtual_dataset("pt", layout)


def no_chunk(file: h5py.File, path: Path) -> None:
    file.create_dataset("pt", (N,), np.float64, chunks=(2,), fillvalue=1.0)


def one_chunk(file: h5py.File, path: Path) -> None:
    file.create_dataset("pt", (N,), np.float64, chunks=(2,))[2:4] = 5.0


def grown(file: h5py.File, path: Path) -> None:
    made = file.create_dataset("pt", data=np.ones(2), chunks=(2,), maxshape=(None,))
    made.resize((N,))


def contiguous(file: h5py.File, path: Path) -> None:
    file.create_dataset("pt", (N,), np.float64)


def external_values(file: h5py.File, path: Path) -> None:
    secret = path.with_name("secret.bin")
    secret.write_bytes(bytes(8 * N))
    file.create_dataset("pt", (N,), np.float64, external=[(str(secret), 0, 8 * N)])


def external_link(file: h5py.File, path: Path) -> None:
    file["pt"] = h5py.ExternalLink(str(other_file(path)), "/pt")


def through_external(file: h5py.File, path: Path) -> None:
    file.create_group("meta")["far"] = h5py.ExternalLink(str(other_file(path)), "/")
    file["pt"] = h5py.SoftLink("/meta/far/pt")


def dangling(file: h5py.File, path: Path) -> None:
    file["pt"] = h5py.SoftLink("/gone/pt")


def loop(file: h5py.File, path: Path) -> None:
    file["pt"] = h5py.SoftLink("/back")
    file["back"] = h5py.SoftLink("pt")


ABSENT: list[tuple[Make, str]] = [
    (virtual, r"a virtual dataset, whose values lie elsewhere \(.*other.h5"),
    (virtual_missing, "a virtual dataset"),
    (virtual_shorter, "a virtual dataset"),
    (virtual_without_end, "a virtual dataset"),
    (no_chunk, r"values never written \(3 of 3 chunks\)"),
    (one_chunk, r"values never written \(2 of 3 chunks\)"),
    (grown, r"values never written \(2 of 3 chunks\)"),
    (contiguous, "values never written"),
    (external_values, "values that lie in another file, '.*secret.bin'"),
    (external_link, "a link into another file, '.*other.h5'"),
    (through_external, "a link into another file, '.*other.h5'"),
    (dangling, "a link to '/gone/pt', where nothing is"),
    (loop, "a link to '(/back|pt)' that leads back to itself"),
]


@pytest.mark.parametrize(("make", "why"), ABSENT, ids=lambda item: getattr(item, "__name__", ""))
def test_values_that_are_not_in_the_file_are_never_read(
    make: Make, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "z.h5"
    with h5py.File(path, "w") as file:
        file["m"] = MASS
        make(file, path)
    with pytest.raises(InputError, match=f"z.h5: column '(pt|back)': got {why}"):
        read_events(path)
    with pytest.raises(InputError, match=f"column 'pt': got {why}"):
        read_events(path, features=["m", "pt"])
    with pytest.raises(InputError, match=f"column 'pt': got {why}"):
        read_events(path, features=["m"], weights="pt")
    with pytest.raises(InputError, match=why):
        read_events(f"{path}:pt")
    assert read_events(path, features=["m"]).x[:, 0].tolist() == MASS.tolist()
    ignored = [name for name in column_names(path) if name != "m"]
    assert read_events(path, ignore=ignored).names == ("m",)


def test_a_group_of_broken_links_alone_is_told(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "z.h5", "w") as file:
        file["pt"] = h5py.SoftLink("/gone")
    with pytest.raises(InputError, match="column 'pt': got a link to '/gone', where nothing is"):
        read_events(tmp_path / "z.h5")


def test_a_group_in_another_file_is_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "z.h5"
    with h5py.File(path, "w") as file:
        file["far"] = h5py.ExternalLink(str(other_file(path)), "/")
        file["m"] = MASS
    for part in ("far", "far/pt"):
        with pytest.raises(InputError, match=f"group '{part}': got a link into another file"):
            read_events(f"{path}:{part}")


def test_links_inside_the_file_are_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "z.h5", "w") as file:
        file["hidden/deep/x"] = MASS
        file["hidden/short"] = h5py.SoftLink("deep")
        file["events/m"] = h5py.SoftLink("/hidden/short/x")
        file["events/again"] = h5py.SoftLink("m")
        file["named"] = h5py.SoftLink("/events")
    events = read_events(f"{tmp_path}/z.h5:named")
    assert events.names == ("again", "m")
    assert events.column("m").tolist() == MASS.tolist()


def test_a_column_may_stand_upright(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "z.h5", "w") as file:
        file["m"] = MASS
        file["pt"] = MASS[:, None] + 1.0
    events = read_events(tmp_path / "z.h5")
    assert events.names == ("m", "pt")
    np.testing.assert_array_equal(events.x, np.column_stack([MASS, MASS + 1.0]))
    assert events.account is not None
    assert events.account.left_out == ()


def write_types(path: Path) -> None:
    kind = np.dtype([("a", "f8"), ("b", "i4")])
    with h5py.File(path, "w") as file:
        file["m"] = MASS
        file["flag"] = MASS > 2.0
        file["matrix"] = np.ones((N, 3))
        file["cube"] = np.ones((N, 3, 2))
        file["one"] = 5.0
        file["nothing"] = h5py.Empty("f8")
        file["complex"] = MASS + 1j
        file["record"] = np.zeros(N, kind)
        file["when"] = np.zeros(N, "V8")
        file["fixed"] = np.array([b"ab"] * N)
        file["text"] = ["ab"] * N
        colour = h5py.enum_dtype({"red": 0, "blue": 1}, basetype="i1")
        file.create_dataset("colour", data=np.zeros(N, "i1"), dtype=colour)
        refs = file.create_dataset("refs", (N,), h5py.ref_dtype)
        refs[:] = [file["m"].ref] * N
        regions = file.create_dataset("regions", (N,), h5py.regionref_dtype)
        regions[:] = [file["m"].regionref[:2]] * N
        jagged = file.create_dataset("jagged", (N,), h5py.vlen_dtype(np.float32))
        jagged[:] = [np.ones(j, np.float32) for j in range(N)]
        file["kind"] = kind
        file["group/x"] = MASS


def test_every_other_type_is_left_out_with_a_reason(tmp_path: Path) -> None:
    write_types(tmp_path / "z.h5")
    events = read_events(tmp_path / "z.h5")
    assert events.names == ("flag", "m")
    assert events.column("flag").tolist() == (MASS > 2.0).tolist()
    assert events.account is not None
    reasons = {column.name: column.reason for column in events.account.left_out}
    assert reasons == {
        "matrix": "an array of shape (6, 3)",
        "cube": "an array of shape (6, 3, 2)",
        "one": "a single value",
        "nothing": "an empty dataset, of no shape",
        "complex": "values of type complex128",
        "record": "records of a, b",
        "when": "values of type |V8",
        "fixed": "text",
        "text": "text",
        "colour": "an enumeration (red, blue)",
        "refs": "references to other parts of the file",
        "regions": "references to other parts of the file",
        "jagged": "rows of different length of float32",
        "kind": "a type without values",
        "group": "a group",
    }
    doubts = {column.name for column in events.account.doubts}
    assert doubts == {"matrix", "cube", "complex"}


@pytest.mark.parametrize("name", ["matrix", "one", "nothing", "complex", "record", "refs", "text"])
def test_other_types_that_are_asked_for_are_refused(name: str, tmp_path: Path) -> None:
    write_types(tmp_path / "z.h5")
    with pytest.raises(InputError, match=f"column '{name}': got .*; expected a flat column"):
        read_events(tmp_path / "z.h5", features=["m", name])


def test_tables_leave_out_nested_fields(tmp_path: Path) -> None:
    kind = [
        ("m", "f8"),
        ("pos", "f4", (3,)),
        ("one", "f4", (1,)),
        ("in", [("a", "i2")]),
        ("j", "i4"),
    ]
    table = np.zeros(N, kind)
    table["m"], table["one"][:, 0], table["j"] = MASS, MASS + 1.0, np.arange(N)
    with h5py.File(tmp_path / "z.h5", "w") as file:
        file["table"] = table
    events = read_events(f"{tmp_path}/z.h5:table")
    assert events.names == ("m", "one", "j")
    np.testing.assert_array_equal(events.x, np.column_stack([MASS, MASS + 1.0, np.arange(N)]))
    assert events.account is not None
    assert {item.name: item.reason for item in events.account.left_out} == {
        "pos": "an array of shape (6, 3)",
        "in": "records of a",
    }


@pytest.mark.parametrize("chunks", [None, (4096,)], ids=["contiguous", "one chunk written"])
def test_a_small_file_that_declares_terabytes_is_refused(
    chunks: tuple[int, ...] | None, tmp_path: Path
) -> None:
    with h5py.File(tmp_path / "z.h5", "w") as file:
        made = file.create_dataset("m", (2**40,), np.float64, chunks=chunks)
        if chunks:
            made[: chunks[0]] = 1.0
    with pytest.raises(InputError, match="column 'm': got values never written"):
        read_events(tmp_path / "z.h5")


def test_a_matrix_that_declares_terabytes_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "z.h5", "w") as file:
        file.create_dataset("x", (2**38, 2), np.float64, chunks=(2**10, 2))[:4] = 1.0
    with pytest.raises(InputError, match="dataset '/x': got values never written"):
        read_events(tmp_path / "z.h5", features=["a", "b"])


def test_a_few_bytes_that_unfold_to_gigabytes_are_refused(tmp_path: Path) -> None:
    rows = 2**27 + 1
    with h5py.File(tmp_path / "z.h5", "w") as file:
        made = file.create_dataset("m", (rows,), "f8", chunks=(2**24,), compression="gzip")
        zeros = np.zeros(2**24)
        made[: 2**24] = zeros
        code, chunk = made.id.read_direct_chunk((0,))
        for place in range(2**24, rows, 2**24):
            made.id.write_direct_chunk((place,), chunk, code)
    assert (tmp_path / "z.h5").stat().st_size < 2**22
    with pytest.raises(InputError, match="at most 400 times the size of the file"):
        read_events(tmp_path / "z.h5")


@pytest.mark.parametrize("chunks", [None, (7, 2), (1, 40)])
def test_columns_of_a_wide_matrix_are_read_by_pieces(
    chunks: tuple[int, int] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verisimile.data.formats.hdf5_values._PIECE", 1000)
    matrix = np.arange(50.0 * 40).reshape(50, 40)
    with h5py.File(tmp_path / "z.h5", "w") as file:
        made = file.create_dataset("x", data=matrix, chunks=chunks)
        made.attrs["columns"] = [f"c{j}" for j in range(40)]
        table = np.zeros(50, [("a", "f8"), ("b", "i8"), ("c", "f4")])
        table["b"] = np.arange(50)
        file.create_dataset("table", data=table, chunks=None if chunks is None else chunks[:1])
    events = read_events(f"{tmp_path}/z.h5:x", features=["c31", "c7"], weights="c12")
    np.testing.assert_array_equal(events.x, matrix[:, [31, 7]])
    np.testing.assert_array_equal(events.weights, matrix[:, 12])
    assert read_events(f"{tmp_path}/z.h5:x").x.tolist() == matrix.tolist()
    assert read_events(f"{tmp_path}/z.h5:table", features=["b"]).x[:, 0].tolist() == list(range(50))


JETNET = {"particle_features": np.zeros((7, 30, 4)), "jet_features": np.zeros((7, 4))}


def test_matrices_side_by_side_say_what_to_write(tmp_path: Path) -> None:
    path = tmp_path / "g.hdf5"
    with h5py.File(path, "w") as file:
        for name, values in JETNET.items():
            file[name] = values + np.arange(4)
    with pytest.raises(InputError) as caught:
        read_events(path)
    message = str(caught.value)
    assert "jet_features (7, 4), particle_features (7, 30, 4)" in message
    assert f"Write {path}:jet_features and name its columns: features=[4 names" in message
    assert "comma" not in message
    names = ["pt", "eta", "mass", "count"]
    events = read_events(f"{path}:jet_features", features=names)
    assert events.names == tuple(names)
    assert events.x[0].tolist() == [0.0, 1.0, 2.0, 3.0]
    with pytest.raises(InputError, match=r"one array of shape \(7, 30, 4\); expected a matrix"):
        read_events(f"{path}:particle_features", features=names)


@pytest.mark.parametrize(
    ("holder", "attribute", "value"),
    [
        ("/jet_features", "columns", ["pt", "eta", "mass", "count"]),
        ("/", "jet_features_names", np.array([b"pt", b"eta", b"mass", b"count"])),
        ("/", "jet_features_columns", "pt, eta, mass, count"),
    ],
)
def test_names_of_columns_are_taken_from_attributes(
    holder: str, attribute: str, value: object, tmp_path: Path
) -> None:
    with h5py.File(tmp_path / "z.h5", "w") as file:
        for name, values in JETNET.items():
            file[name] = values + np.arange(4)
        file[holder].attrs[attribute] = value
    uri = f"{tmp_path}/z.h5:jet_features"
    assert read_events(uri).names == ("pt", "eta", "mass", "count")
    assert read_events(uri, features=["mass", "pt"]).x[0].tolist() == [2.0, 0.0]


@pytest.mark.parametrize("value", [["a", "b"], ["a", "a", "b", "c"], [1, 2, 3, 4], "jets"])
def test_attributes_that_name_no_columns_are_ignored(value: object, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "z.h5", "w") as file:
        file["x"] = np.zeros((7, 4))
        file["x"].attrs["names"] = value
    with pytest.raises(InputError, match="bare matrix of 4 columns and no names"):
        read_events(f"{tmp_path}/z.h5:x")


def test_showers_say_that_they_need_their_geometry(tmp_path: Path) -> None:
    path = tmp_path / "dataset_1.hdf5"
    with h5py.File(path, "w") as file:
        file["incident_energies"] = MASS[:, None]
        file["showers"] = np.ones((N, 368))
    with pytest.raises(InputError) as caught:
        read_events(path)
    assert "incident_energies (6, 1), showers (6, 368)" in str(caught.value)
    assert f"Write {path}:calo=binning.xml, or" in str(caught.value)
    alone = read_events(path, features=["incident_energies"])
    assert alone.x[:, 0].tolist() == MASS.tolist()


def test_text_alone_gives_no_advice_about_csv(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "z.h5", "w") as file:
        file["s"] = ["ab", "cd"]
    with pytest.raises(InputError, match="no numeric feature among {'s': 'text'}") as caught:
        read_events(tmp_path / "z.h5")
    assert "comma" not in str(caught.value)


def test_one_flat_dataset_may_be_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "z.h5", "w") as file:
        file["deep/m"] = MASS
    events = read_events(f"{tmp_path}/z.h5:deep/m")
    assert events.names == ("m",)
    assert events.x[:, 0].tolist() == MASS.tolist()


def test_specifications_survive_a_round_trip(tmp_path: Path) -> None:
    features = [
        Feature("m", unit="GeV", label=r"$m_{\ell\ell}$", low=0.0, transform="log"),
        Feature("phi", kind="periodic", low=-math.pi, high=math.pi),
        Feature("jets", kind="discrete"),
        Feature("plain"),
    ]
    events = Events(np.ones((3, 4)), [1.0, 2.0, 3.0], features=features)
    write_events(events, f"{tmp_path}/z.h5:deep/events")
    assert read_events(f"{tmp_path}/z.h5:deep/events", weights="weight").features == events.features


def test_units_and_labels_of_other_programs_are_taken(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "z.h5", "w") as file:
        file["m"] = MASS
        file["m"].attrs["units"] = np.bytes_("GeV")
        file["m"].attrs["long_name"] = "invariant mass"
        file["m"].attrs["low"] = np.float32(0.0)
    assert read_events(tmp_path / "z.h5").features == (
        Feature("m", unit="GeV", label="invariant mass", low=0.0),
    )


@pytest.mark.parametrize(
    "attributes",
    [
        {"unit": 5, "label": 2.0, "kind": "nominal", "transform": "sqrt"},
        {"unit": ["GeV", "TeV"], "label": "", "kind": 1},
        {"low": 3.0, "high": 1.0},
        {"low": np.nan, "high": "seven"},
        {"low": [0.0, 1.0], "high": h5py.Empty("f8")},
        {"transform": "probit"},
    ],
)
def test_attributes_that_say_nothing_usable_are_ignored(
    attributes: dict[str, object], tmp_path: Path
) -> None:
    with h5py.File(tmp_path / "z.h5", "w") as file:
        file["m"] = MASS
        for name, value in attributes.items():
            file["m"].attrs[name] = value
    assert read_events(tmp_path / "z.h5").features == (Feature("m"),)


def test_a_filter_that_is_not_there_is_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "z.h5", "w") as file:
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((N,))
        plan.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((N,))
        made = h5py.h5d.create(file.id, b"m", h5py.h5t.IEEE_F64LE, space, plan)
        made.write_direct_chunk((0,), bytes(8 * N))
    with pytest.raises(InputError, match=r"'m': got values compressed with .*hdf5plugin"):
        read_events(tmp_path / "z.h5")


def test_chunks_that_hold_nothing_are_told(tmp_path: Path) -> None:
    path = tmp_path / "z.h5"
    with h5py.File(path, "w") as file:
        made = file.create_dataset("m", data=MASS, chunks=(N,), fletcher32=True)
        size, offset = (getattr(made.id.get_chunk_info(0), key) for key in ("size", "byte_offset"))
    content = path.read_bytes()
    # Of a chunk HDF5 keeps its size, which filters are skipped, its place; last its address.
    place = content.index(size.to_bytes(4, "little") + bytes(4))
    assert content.index(offset.to_bytes(8, "little"), place) < place + 40
    for damage in (bytes(8), size.to_bytes(4, "little") + (1).to_bytes(4, "little")):
        path.write_bytes(content[:place] + damage + content[place + 8 :])
        with pytest.raises(InputError, match="column 'm': got damaged values"):
            read_events(path)


def test_written_files_tell_every_change(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "z.h5"
    events = Events(rng.normal(size=(60, 2)), names=("a", "b"))
    write_events(events, path)
    content = path.read_bytes()
    for place in rng.integers(0, len(content), 200):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            found = read_events(path).digest
        except InputError:
            continue
        assert found == events.digest


@pytest.mark.parametrize("name", ["_FillValue", "missing_value"])
@pytest.mark.parametrize("value", [-999.0, np.float32(-999.0), np.array([-999.0])])
def test_values_that_netcdf_calls_missing_are_missing(
    name: str, value: object, tmp_path: Path
) -> None:
    with h5py.File(tmp_path / "z.h5", "w") as file:
        file["m"] = np.where(MASS == 2.5, -999.0, MASS)
        file["m"].attrs[name] = value
        file["pt"] = MASS
        file["matrix"] = np.column_stack([file["m"], file["pt"]]).astype(np.float32)
        file["matrix"].attrs[name] = value
    for part in ("", ":m", ":matrix"):
        names = ["m"] if part == ":m" else ["m", "pt"]
        with pytest.raises(InputError, match="'m': got missing values .*the first in row 2"):
            read_events(f"{tmp_path}/z.h5{part}", features=names)
        dropped = read_events(f"{tmp_path}/z.h5{part}", features=names, missing="drop")
        assert dropped.n == N - 1


def test_values_that_netcdf_packed_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "z.h5", "w") as file:
        file["m"] = np.arange(N)
        file["m"].attrs["scale_factor"] = 0.5
        file["pt"] = MASS
    with pytest.raises(InputError, match=r"'m': got packed values \(scale_factor "):
        read_events(tmp_path / "z.h5")
    assert read_events(tmp_path / "z.h5", ignore=["m"]).names == ("pt",)


def test_the_layout_of_jet_collections_is_told_and_read() -> None:
    case = Path(__file__).parents[2] / "cases" / "particle_features.hdf5"
    with pytest.raises(InputError, match=r"Write .*:jet_features and name its columns") as caught:
        read_events(case)
    assert "comma" not in str(caught.value)
    names = ["pt", "eta", "mass", "particles"]
    assert read_events(f"{case}:jet_features", features=names).names == tuple(names)
