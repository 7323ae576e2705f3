"""What is compared of calorimeter showers: energies, centres, widths, occupancies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, require
from verisimile.data.calo.geometry import Geometry, Layer
from verisimile.data.feature import Feature, listing, suggestion

GROUPS = ("incident", "ratio", "energy", "centroid", "width", "occupancy", "radius")
"""Kinds of features; ``radius`` is not among the default ones."""


class ShowerFeature(NamedTuple):
    """A feature of showers: its group, its layer if it has one, its specification."""

    group: str
    layer: int | None
    spec: Feature


def shower_features(geometry: Geometry) -> dict[str, ShowerFeature]:
    """Return every feature by name, in order."""
    found = [
        ShowerFeature("incident", None, Feature("incident_energy", unit="MeV", low=0.0)),
        ShowerFeature("ratio", None, Feature("energy_ratio", low=0.0)),
    ]
    for layer in geometry.layers:
        found += [ShowerFeature(group, layer.number, spec) for group, spec in _of_layer(layer)]
    return {feature.spec.name: feature for feature in found}


def _of_layer(layer: Layer) -> Iterator[tuple[str, Feature]]:
    def spike(name: str, unit: str = "mm", low: float = 0.0, high: float = np.inf) -> Feature:
        name = f"{name}_layer_{layer.number}"
        return Feature(name, unit=unit, kind="spike-at-zero", low=low, high=high)

    yield "energy", spike("energy", "MeV")
    if layer.sectors > 1:
        for axis in ("eta", "phi"):
            yield "centroid", spike(axis, low=-layer.edges[-1], high=layer.edges[-1])
            yield "width", spike(f"width_{axis}")
    name = f"occupancy_layer_{layer.number}"
    yield "occupancy", Feature(name, kind="discrete", low=0.0, high=1.0)
    yield "radius", spike("radius")
    yield "radius", spike("width_radius")


def shower_columns(
    geometry: Geometry, incident: Array, showers: Array, *, threshold: float
) -> dict[str, Array]:
    r"""Return all features of showers, by name.

    In a layer with voxel energies E at places y, of total energy :math:`E_l`,

    .. math:: \langle y \rangle = \frac{\sum_v E_v y_v}{E_l}, \qquad
              \sigma_y = \sqrt{\frac{\sum_v E_v (y_v - \langle y \rangle)^2}{E_l}},

    both 0 where :math:`E_l = 0`.  Layers of one sector have no centre in eta and phi.

    Parameters
    ----------
    geometry
        The voxels.
    incident
        Incident energies ``(n,)``, positive.
    showers
        Energies of the voxels ``(n, voxels)``.
    threshold
        Energy above which a voxel counts as occupied, in the same unit.
    """
    out = {"incident_energy": incident, "energy_ratio": showers.sum(axis=1) / incident}
    for layer, part in zip(geometry.layers, geometry.slices, strict=True):
        energies, tag = showers[:, part], f"layer_{layer.number}"
        out[f"energy_{tag}"] = energies.sum(axis=1)
        if layer.sectors > 1:
            for axis, place in zip(("eta", "phi"), layer.place.T, strict=True):
                out[f"{axis}_{tag}"], out[f"width_{axis}_{tag}"] = _moments(energies, place)
        out[f"occupancy_{tag}"] = (energies > threshold).mean(axis=1)
        out[f"radius_{tag}"], out[f"width_radius_{tag}"] = _moments(energies, layer.radius)
    return out


def _moments(energies: Array, place: Array) -> tuple[Array, Array]:
    total = energies.sum(axis=1)
    safe = np.where(total > 0.0, total, 1.0)
    mean = energies @ place / safe
    # Two passes: the difference of squares would lose narrow showers to rounding.
    squares = np.einsum("nv,nv->n", energies, (place - mean[:, None]) ** 2)
    return np.where(total > 0.0, mean, 0.0), np.where(total > 0.0, np.sqrt(squares / safe), 0.0)


def choose_names(
    features: Mapping[str, ShowerFeature],
    wanted: Sequence[str] | None = None,
    layers: Sequence[int] | None = None,
) -> tuple[str, ...]:
    """Return the names that groups, names and layers ask for; by default all but radii."""
    known = {one.layer for one in features.values() if one.layer is not None}
    unknown = sorted(set(layers or ()) - known)
    require(not unknown, "layers", got=f"{unknown}", expected=f"numbers among {sorted(known)}")
    if isinstance(wanted, str):
        raise InputError("features", got=repr(wanted), expected="a sequence of names or groups")
    words = GROUPS[:-1] if wanted is None else tuple(wanted)
    for word in words:
        require(
            word in GROUPS or word in features,
            "features",
            got=repr(word),
            expected=f"groups {listing(GROUPS)} or names such as {listing(list(features)[:4])}",
            remedy=suggestion(word, [*GROUPS, *features]),
        )
    found = tuple(
        name
        for name, feature in features.items()
        if (name in words or feature.group in words)
        and (layers is None or feature.layer is None or feature.layer in layers)
    )
    require(found, "features", got=f"{words} in layers {layers}", expected="at least one")
    return found
