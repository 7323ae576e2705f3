"""Calorimeter showers in the HDF5 layout of the CaloChallenge, as an open source of features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, require
from verisimile.data.calo.features import choose_names, shower_columns, shower_features
from verisimile.data.calo.geometry import Geometry, read_geometry
from verisimile.data.feature import listing
from verisimile.data.formats.file import optional
from verisimile.data.formats.hdf5_values import NOTHING, find, require_held
from verisimile.data.source import Column, Source, Values

THRESHOLD = 0.01515
"""Energy in MeV above which a voxel counts as occupied: 15.15 keV."""

_CHUNK = 32 * 2**20  # bytes of voxel energies in double precision at a time
_INCIDENT, _SHOWERS = "incident_energies", "showers"
_HINT = "Is it a file of the CaloChallenge?  Other matrices are read as file.hdf5:name."


@contextmanager
def open_showers(path: Path, described: str, wanted: Sequence[str] | None) -> Iterator[Source]:
    """Open showers as columns; `described` is ``binning.xml`` or ``binning.xml,particle``."""
    binning, _, particle = described.partition(",")
    voxels = read_geometry(binning, particle or None)
    known = shower_features(voxels)
    with optional("h5py").File(path, "r", locking=False) as store:
        names = wanted or choose_names(known)
        columns = shower_table(store, voxels, [name for name in names if name in known], THRESHOLD)
        # All names are offered, for the message on one that does not exist.
        offered = known if wanted else names
        specs = {name: feature.spec for name, feature in known.items()}

        def load(names: Sequence[str]) -> Iterator[Values]:
            return (columns[name] for name in names)

        yield Source(
            {name: Column(rows=len(columns.get(name, ()))) for name in offered}, load, specs
        )


def shower_table(
    store: Any,  # noqa: ANN401  (h5py is untyped)
    geometry: Geometry,
    names: Sequence[str],
    threshold: float,
) -> dict[str, Array]:
    """Return features of the showers in an open file, computed a bounded number at a time."""
    incident, showers = _datasets(store, geometry)
    fine = np.isfinite(threshold) and threshold >= 0.0
    require(fine, "threshold", got=threshold, expected="an energy in MeV, zero or more")
    pieces: dict[str, list[Array]] = {name: [] for name in names}
    rows = max(1, _CHUNK // (8 * geometry.voxels))
    for start in range(0, showers.shape[0], rows):
        piece = slice(start, start + rows)
        before = np.asarray(incident[piece], np.float64).reshape(-1)
        energies = np.asarray(showers[piece], np.float64)
        _check_energies(before, energies, start)
        found = shower_columns(geometry, before, energies, threshold=threshold)
        for name, parts in pieces.items():
            parts.append(found[name])
    return {name: np.concatenate(parts) for name, parts in pieces.items()}


def _datasets(store: Any, geometry: Geometry) -> tuple[Any, Any]:  # noqa: ANN401
    """Return incident energies and showers, whose shapes fit the geometry."""
    found = {name: find(store["/"], name) for name in (_INCIDENT, _SHOWERS)}
    missing = [name for name, (item, _) in found.items() if not hasattr(item, "is_virtual")]
    require(
        not missing,
        "datasets",
        got=f"no {listing(missing)} among {listing(list(store))}"
        + "".join(f" ({name}: {found[name][1]})" for name in missing if found[name][1] != NOTHING),
        expected=f"{_INCIDENT} (n, 1) and {_SHOWERS} (n, voxels)",
        remedy=_HINT,
    )
    for name, (dataset, _) in found.items():
        require_held(dataset, name)
    incident, showers = (found[name][0].shape for name in (_INCIDENT, _SHOWERS))
    voxels = geometry.voxels
    require(
        len(showers) == 2 and showers[1] == voxels,
        _SHOWERS,
        got=f"shape {showers}",
        expected=f"(n, {voxels}): the geometry of {geometry.particle!r} has {voxels} voxels,"
        f" by layer { {layer.number: layer.voxels for layer in geometry.layers} }",
        remedy="Is this the binning of another data set or particle?",
    )
    require(
        incident in ((showers[0], 1), (showers[0],)),
        _INCIDENT,
        got=f"shape {incident}",
        expected=f"({showers[0]}, 1), as many as showers",
    )
    require(showers[0], _SHOWERS, got="no showers", expected="at least one")
    return found[_INCIDENT][0], found[_SHOWERS][0]


def _check_energies(incident: Array, showers: Array, start: int) -> None:
    for name, bad, rule in (
        (_INCIDENT, ~(np.isfinite(incident) & (incident > 0.0)), "finite and positive"),
        (_SHOWERS, ~(np.isfinite(showers) & (showers >= 0.0)).all(axis=1), "finite, zero or more"),
    ):
        if bad.any():
            first = start + int(np.flatnonzero(bad)[0])
            raise InputError(
                name,
                got=f"{int(bad.sum())} showers with other energies, the first in row {first}",
                expected=f"energies that are {rule}",
                remedy="Remove these showers, or say in the generator what they should be.",
            )
