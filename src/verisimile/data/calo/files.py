"""Calorimeter showers in the HDF5 layout of the CaloChallenge, as events of derived features."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from verisimile.core.errors import InputError
from verisimile.data.calo.features import choose_names, shower_features
from verisimile.data.calo.geometry import Geometry, read_geometry
from verisimile.data.calo.source import THRESHOLD, shower_table
from verisimile.data.events import Events
from verisimile.data.formats.file import optional


def read_showers(
    path: str | os.PathLike[str],
    geometry: str | os.PathLike[str] | Geometry,
    *,
    particle: str | None = None,
    threshold: float = THRESHOLD,
    layers: Sequence[int] | None = None,
    features: Sequence[str] | None = None,
) -> Events:
    """Read showers and return features of each: energies, centres, widths, occupancies.

    The file holds ``incident_energies`` ``(n, 1)`` and ``showers`` ``(n, voxels)`` in MeV.
    It is read in pieces: memory does not grow with the number of voxels.

    Parameters
    ----------
    path
        The HDF5 file; opened for reading without locks.
    geometry
        The voxels, or the XML file that describes them.
    particle
        Name or pid of the particle in the XML file, if there are several.
    threshold
        Energy in MeV above which a voxel counts as occupied.  It changes nothing else.
    layers
        Numbers of the layers whose features are wanted; by default all.
    features
        Names, or groups among ``incident``, ``ratio``, ``energy``, ``centroid``, ``width``,
        ``occupancy`` and ``radius``; by default all groups but the last.

    Returns
    -------
    Events
        Unweighted, with units, bounds and kinds of the features.
    """
    file = Path(path)
    voxels = geometry if isinstance(geometry, Geometry) else read_geometry(geometry, particle)
    known = shower_features(voxels)
    names = choose_names(known, features, layers)
    h5py = optional("h5py")
    try:
        with h5py.File(file, "r", locking=False) as store:
            columns = shower_table(store, voxels, names, threshold)
    except OSError as error:
        raise InputError(str(file), got=f"{error}", expected="a readable HDF5 file") from None
    except InputError as error:
        raise error.within(file) from None
    x = np.column_stack([columns[name] for name in names])
    return Events(x, features=[known[name].spec for name in names])
