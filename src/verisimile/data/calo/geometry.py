r"""The voxels of a calorimeter: layers of rings, cut into sectors.

The XML format of the CaloChallenge's ``binning_dataset_*.xml``::

    <Bins>
      <Bin pid="22" etaMin="0" etaMax="130" name="photon">
        <Layer id="0" r_edges="0,5,10,30,50,100,200,400,600" n_bin_alpha="1"/>
        <Layer id="1" r_edges="0,2,4,6" n_bin_alpha="10"/>
        <Layer id="4" r_edges="0" n_bin_alpha="1"/>
      </Bin>
    </Bins>

Radii in mm; a layer with one edge has no voxels.  Voxels of a shower are those of the first
layer, then of the next; within a layer all radii of the first sector, then of the next.
Sectors go from :math:`-\pi` to :math:`\pi`; a voxel's place is
:math:`(\eta, \phi) = r (\cos\alpha, \sin\alpha)` at its middle radius and angle, in mm.
"""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, require
from verisimile.data.feature import listing, suggestion


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of voxels.

    Attributes
    ----------
    number
        The layer's id.
    edges
        Radii of the rings' edges in mm, ascending.
    sectors
        Number of sectors.
    """

    number: int
    edges: tuple[float, ...]
    sectors: int

    @property
    def voxels(self) -> int:
        """Number of voxels."""
        return (len(self.edges) - 1) * self.sectors

    @property
    def radius(self) -> Array:
        """Middle radius of each voxel ``(voxels,)``."""
        edges = np.array(self.edges)
        return np.asarray(np.tile(0.5 * (edges[1:] + edges[:-1]), self.sectors))

    @property
    def place(self) -> Array:
        """Middle of each voxel: eta and phi in mm ``(voxels, 2)``."""
        angle = -np.pi + 2.0 * np.pi * (np.arange(self.sectors) + 0.5) / self.sectors
        angles = np.repeat(angle, len(self.edges) - 1)
        directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        return np.asarray(self.radius[:, None] * directions)


@dataclass(frozen=True, slots=True)
class Geometry:
    """The layers that hold voxels, in the order of a shower's values.

    Attributes
    ----------
    particle
        The particle for which showers were binned so.
    layers
        Layers with at least one voxel.
    """

    particle: str
    layers: tuple[Layer, ...]

    @property
    def voxels(self) -> int:
        """Number of voxels of a shower."""
        return sum(layer.voxels for layer in self.layers)

    @property
    def slices(self) -> tuple[slice, ...]:
        """Where each layer's voxels lie in a shower."""
        ends = np.cumsum([0, *(layer.voxels for layer in self.layers)]).tolist()
        return tuple(slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True))


def read_geometry(path: str | os.PathLike[str], particle: str | None = None) -> Geometry:
    """Read the voxels of one particle's showers from an XML file.

    Parameters
    ----------
    path
        The file.
    particle
        Name or pid; may be left out if the file has one particle.
    """
    file = Path(path)
    try:
        root = ET.parse(file).getroot()
    except (OSError, ET.ParseError) as error:
        raise InputError(
            str(file), got=f"{error}", expected="a readable XML file of bins"
        ) from None
    found = _particle(file, root, particle)
    name = found.get("name", found.get("pid", ""))
    layers = [_layer(file, element) for element in found.findall("Layer")]
    numbers = [layer.number for layer in layers]
    once = len(set(numbers)) == len(numbers)
    require(once, f"{file}: layers", got=f"ids {numbers}", expected="every id once")
    full = tuple(layer for layer in layers if layer.voxels)
    require(full, str(file), got=f"no voxels for {name!r}", expected="a layer with rings")
    return Geometry(name, full)


def _particle(file: Path, root: ET.Element, wanted: str | None) -> ET.Element:
    bins = root.findall("Bin")
    if wanted is None and len(bins) == 1:
        return bins[0]
    for element in bins:
        if wanted is not None and wanted in (element.get("name"), element.get("pid")):
            return element
    names = [element.get("name", element.get("pid", "")) for element in bins]
    raise InputError(
        f"{file}: particle",
        got="none named" if wanted is None else repr(wanted),
        expected=f"one of {listing(names)}",
        remedy=suggestion(wanted or "", names),
    )


def _layer(file: Path, element: ET.Element) -> Layer:
    try:
        number = int(element.attrib["id"])
        edges = tuple(float(text) for text in element.attrib["r_edges"].split(","))
        sectors = int(element.attrib["n_bin_alpha"])
    except (KeyError, ValueError) as error:
        fine, got = False, f"{type(error).__name__}: {error}"
    else:
        rising = np.isfinite(edges).all() and (np.diff(edges) > 0.0).all()
        fine = bool(rising) and edges[0] >= 0.0 and sectors >= 1
        got = f"radii {edges} and {sectors} sectors"
    require(
        fine,
        f"{file}: layer {element.get('id', '(without id)')!r}",
        got=got,
        expected='an integer id, ascending radii r_edges="0,5,10" and a count n_bin_alpha="1"',
    )
    return Layer(number, edges, sectors)
