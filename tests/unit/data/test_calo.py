"""Showers with features worked out by hand, the public geometries' sizes, and refusals."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from verisimile.core.errors import InputError
from verisimile.data.calo import source as calo_source
from verisimile.data.calo.files import read_showers
from verisimile.data.calo.geometry import Layer, read_geometry
from verisimile.data.files import read_events, write_events

BINNING = """<Bins>
  <Bin pid="22" etaMin="0" etaMax="130" name="photon">
    <Layer id="0" r_edges="0,10,30" n_bin_alpha="1"/>
    <Layer id="1" r_edges="0" n_bin_alpha="1"/>
    <Layer id="3" r_edges="0,2,6" n_bin_alpha="4"/>
  </Bin>
  <Bin pid="211" name="pion"><Layer id="0" r_edges="0,1" n_bin_alpha="2"/></Bin>
</Bins>"""


def _binning(folder: Path, text: str = BINNING) -> Path:
    path = folder / "binning.xml"
    path.write_text(text, encoding="utf-8")
    return path


def _showers(folder: Path, showers: npt.ArrayLike, incident: npt.ArrayLike | None = None) -> Path:
    path = folder / "showers.hdf5"
    values = np.asarray(showers, np.float32)
    energies = np.full((len(values), 1), 100.0) if incident is None else np.asarray(incident)
    with h5py.File(path, "w") as file:
        file.create_dataset("showers", data=values, compression="gzip")
        file.create_dataset("incident_energies", data=energies)
    return path


@pytest.fixture
def three(tmp_path: Path) -> tuple[Path, Path]:
    """Return showers of 2 + 8 voxels: one spread out, one in a single voxel, one empty."""
    first = [30.0, 10.0, *([0.0] * 8)]
    # Sectors are centred at -135, -45, 45 and 135 degrees; radii at 1 and 4 mm.
    first[2 + 2 * 2 + 1] = 20.0  # 45 degrees, 4 mm
    first[2 + 3 * 2 + 1] = 20.0  # 135 degrees, 4 mm
    second = [0.0] * 9 + [0.01]
    return _showers(tmp_path, [first, second, [0.0] * 10]), _binning(tmp_path)


def test_by_hand(three: tuple[Path, Path]) -> None:
    file, binning = three
    found = read_showers(file, binning, particle="photon")
    assert found.n == 3
    side = 4 / np.sqrt(2)
    expected = {
        "incident_energy": [100, 100, 100],
        "energy_ratio": [0.8, 1e-4, 0],
        "energy_layer_0": [40, 0, 0],
        "occupancy_layer_0": [1, 0, 0],
        "energy_layer_3": [40, 0.01, 0],
        "eta_layer_3": [0, -side, 0],
        "width_eta_layer_3": [side, 0, 0],
        "phi_layer_3": [side, side, 0],
        "width_phi_layer_3": [0, 0, 0],
        "occupancy_layer_3": [0.25, 0, 0],
    }
    assert set(found.names) == set(expected)
    for name, values in expected.items():
        assert found.column(name) == pytest.approx(values, abs=1e-6), name


def test_radii_and_threshold(three: tuple[Path, Path]) -> None:
    file, binning = three
    found = read_showers(
        file, binning, particle="22", threshold=0.005, layers=[0, 3],
        features=["radius", "occupancy_layer_3"],
    )  # fmt: skip
    assert found.column("radius_layer_0") == pytest.approx([0.75 * 5 + 0.25 * 20, 0, 0])
    assert found.column("width_radius_layer_0") == pytest.approx([15 * np.sqrt(3 / 16), 0, 0])
    assert found.column("radius_layer_3") == pytest.approx([4, 4, 0])
    assert found.column("occupancy_layer_3") == pytest.approx([0.25, 0.125, 0])
    assert found.d == 5


def test_specifications(three: tuple[Path, Path]) -> None:
    file, binning = three
    found = read_showers(file, binning, particle="photon", layers=[3])
    specs = {feature.name: feature for feature in found.features}
    assert specs["eta_layer_3"].kind == "spike-at-zero"
    assert (specs["eta_layer_3"].low, specs["eta_layer_3"].high) == (-6.0, 6.0)
    assert specs["energy_layer_3"].unit == "MeV"
    assert specs["occupancy_layer_3"].kind == "discrete"
    assert "energy_layer_0" not in specs


def test_pieces_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    incident = rng.uniform(50, 90, size=(37, 1))
    showers = rng.gamma(0.3, 1.0, (37, 10)) * (rng.random((37, 10)) < 0.5)
    file, binning = _showers(tmp_path, showers, incident), _binning(tmp_path)
    whole = read_showers(file, binning, particle="photon")
    monkeypatch.setattr(calo_source, "_CHUNK", 8 * 10 * 5)
    pieces = read_showers(file, binning, particle="photon")
    assert pieces.x == pytest.approx(whole.x, rel=1e-12, abs=1e-12)
    assert whole.column("incident_energy") == pytest.approx(incident[:, 0])


def test_as_events_of_a_uri(three: tuple[Path, Path], tmp_path: Path) -> None:
    file, binning = three
    expected = read_showers(file, binning, particle="photon")
    found = read_events(f"{file}:calo={binning},photon")
    assert found.digest == expected.digest
    assert found.features == expected.features
    names = ["width_radius_layer_3", "energy_ratio"]
    assert read_events(f"{file}:calo={binning},photon", features=names).names == tuple(names)
    with pytest.raises(InputError, match="Did you mean 'energy_ratio'"):
        read_events(f"{file}:calo={binning},photon", features=["energy_rato"])
    with pytest.raises(InputError, match="particle: got none named"):
        read_events(f"{file}:calo={binning}")
    with pytest.raises(InputError, match="features of showers"):
        write_events(found, f"{file}:calo={binning}")


# Sizes stated by the CaloChallenge: 368, 533 and 6480 voxels.
SINGLE = {0: "0,5,10,30,50,100,200,400,600", 3: "0,50,100,200,400,600"}
PHOTON = SINGLE | {12: "0,100,200,400,1000,2000"}
PHOTON_CUT = {
    1: "0,2,4,6,8,10,12,15,20,30,40,50,70,90,120,150,200",
    2: "0,2,5,10,15,20,25,30,40,50,60,80,100,130,160,200,250,300,350,400",
}
PION = SINGLE | {14: "0,50,100,150,200,250,300,400,600,1000,2000"}
PION_CUT = {
    1: "0,1,4,7,10,15,30,50,90,150,200",
    2: "0,5,10,20,30,50,80,130,200,300,400",
    12: "0,10,20,30,50,80,100,130,160,200,250,300,350,400,1000,2000",
    13: "0,10,20,30,50,80,100,130,160,200,250,300,350,400,600,1000,2000",
}
RINGS = ",".join(f"{4.65 * i:g}" for i in range(10))


@pytest.mark.parametrize(
    ("plain", "cut", "sectors", "voxels"),
    [
        (PHOTON, PHOTON_CUT, 10, 368),
        (PION, PION_CUT, 10, 533),
        ({}, dict.fromkeys(range(45), RINGS), 16, 6480),
    ],
    ids=["photons", "pions", "data set 2"],
)
def test_public_geometries_have_their_sizes(
    plain: dict[int, str], cut: dict[int, str], sectors: int, voxels: int, tmp_path: Path
) -> None:
    numbers = range(max({**plain, **cut}) + 1)
    rows = [
        f'<Layer id="{i}" r_edges="{cut.get(i, plain.get(i, "0"))}"'
        f' n_bin_alpha="{sectors if i in cut else 1}" />'
        for i in numbers
    ]
    text = f'<Bins><Bin pid="1" name="one">{"".join(rows)}</Bin></Bins>'
    geometry = read_geometry(_binning(tmp_path, text))
    assert geometry.voxels == voxels
    assert geometry.slices[-1].stop == voxels
    assert [layer.number for layer in geometry.layers] == sorted({**plain, **cut})


def test_places_go_round_once() -> None:
    layer = Layer(0, (0.0, 2.0, 4.0), 8)
    assert layer.place.sum(axis=0) == pytest.approx([0, 0], abs=1e-12)
    assert layer.radius.tolist() == [1, 3] * 8
    assert np.arctan2(layer.place[1, 1], layer.place[1, 0]) == pytest.approx(-np.pi * 7 / 8)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ('<Layer r_edges="0,1" n_bin_alpha="1"/>', "layer '.without id.': got KeyError: 'id'"),
        ('<Layer id="2" n_bin_alpha="1"/>', "layer '2': got KeyError: 'r_edges'"),
        ('<Layer id="2" r_edges="0,x" n_bin_alpha="1"/>', "layer '2': got ValueError"),
        ('<Layer id="2" r_edges="0,5,5" n_bin_alpha="1"/>', "layer '2': got radii"),
        ('<Layer id="2" r_edges="0,5" n_bin_alpha="0"/>', "0 sectors"),
        ('<Layer id="2" r_edges="0" n_bin_alpha="1"/>', "no voxels for 'e'"),
        ('<Layer id="2" r_edges="0,1" n_bin_alpha="1"/>' * 2, "every id once"),
        ("<Layer", "readable XML"),
    ],
)
def test_strange_geometries(layer: str, message: str, tmp_path: Path) -> None:
    path = _binning(tmp_path, f'<Bins><Bin pid="11" name="e">{layer}</Bin></Bins>')
    with pytest.raises(InputError, match=message):
        read_geometry(path)


def test_strange_showers(tmp_path: Path) -> None:
    geometry = read_geometry(_binning(tmp_path), "photon")

    def refused(
        showers: npt.ArrayLike, message: str, incident: npt.ArrayLike | None = None
    ) -> None:
        with pytest.raises(InputError, match=message):
            read_showers(_showers(tmp_path, showers, incident), geometry)

    good = np.ones((3, 10))
    refused(np.ones((3, 9)), r"'photon' has 10 voxels, by layer \{0: 2, 3: 8\}")
    refused(np.ones(3), "10 voxels")
    refused(good, "as many as showers", np.ones((2, 1)))
    refused(np.ones((0, 10)), "no showers")
    refused(-good, "showers: got 3 showers .* first in row 0")
    refused(np.where(np.arange(3)[:, None] == 1, np.nan, good), "first in row 1")
    refused(good, "incident_energies: got 3", np.zeros((3, 1)))
    file = _showers(tmp_path, good)
    for options in ({"features": ["mass"]}, {"layers": [1]}, {"threshold": -1.0}):
        with pytest.raises(InputError, match=next(iter(options))):
            read_showers(file, geometry, **options)
    with pytest.raises(InputError, match="a sequence"):
        read_showers(file, geometry, features="energy")
    with pytest.raises(InputError, match="at least one"):
        read_showers(file, geometry, features=["centroid"], layers=[0])


def test_strange_files(tmp_path: Path) -> None:
    geometry = read_geometry(_binning(tmp_path), "211")
    assert geometry.particle == "pion"
    with pytest.raises(InputError, match="readable HDF5"):
        read_showers(tmp_path / "none.hdf5", geometry)
    path = tmp_path / "other.hdf5"
    with h5py.File(path, "w") as file:
        file["showers"] = np.ones((2, 2))
    with pytest.raises(InputError, match="no 'incident_energies' among 'showers'"):
        read_showers(path, geometry)
    with pytest.raises(InputError, match="'muon'; expected one of 'photon', 'pion'"):
        read_geometry(tmp_path / "binning.xml", "muon")
    with pytest.raises(InputError, match="readable XML"):
        read_geometry(tmp_path / "none.xml")


def test_showers_that_are_not_in_the_file_are_refused(tmp_path: Path) -> None:
    geometry = read_geometry(_binning(tmp_path), "211")
    path = tmp_path / "far.hdf5"
    with h5py.File(path, "w") as file:
        file["incident_energies"] = np.ones((2, 1))
        file["showers"] = h5py.ExternalLink("other.hdf5", "/showers")
    with pytest.raises(InputError, match="showers: a link into another file, 'other.hdf5'"):
        read_showers(path, geometry)
    with h5py.File(path, "a") as file:
        del file["showers"]
        file.create_dataset("showers", (2, geometry.voxels), np.float32)
    with pytest.raises(InputError, match="showers: got values never written"):
        read_showers(path, geometry)
