"""What is compared of calorimeter showers: energies, centres, widths, occupancies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.data.calo.geometry import Geometry, Layer
from verisimile.data.feature import Feature, listing, suggestion

GROUPS = ("incident", "ratio", "energy", "centroid", "width", "occupancy", "radius")
"""Kinds of features; ``radius`` is not among the default ones."""


def shower_features(geometry: Geometry) -> dict[str, Feature]:
    """Return the specification of every feature by name, in order."""
    found = [
        Feature("incident_energy", unit="MeV", low=0.0),
        Feature("energy_ratio", low=0.0),
    ]
    for layer in geometry.layers:
        found += _layer_features(layer)
    return {feature.name: feature for feature in found}


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


def chosen(
    features: dict[str, Feature], wanted: Sequence[str] | None, layers: Sequence[int] | None
) -> tuple[str, ...]:
    """Return the names that groups, names and layers ask for; by default all but radii.

    Raises
    ------
    InputError
        If a group, name or layer does not exist.
    """
    known = {int(name.rpartition("_")[2]) for name in features if "_layer_" in name}
    unknown = sorted(set(layers or ()) - known)
    if unknown:
        raise InputError("layers", got=f"{unknown}", expected=f"numbers among {sorted(known)}")
    if isinstance(wanted, str):
        raise InputError("features", got=repr(wanted), expected="a sequence of names or groups")
    words = GROUPS[:-1] if wanted is None else tuple(wanted)
    for word in words:
        if word not in GROUPS and word not in features:
            raise InputError(
                "features",
                got=repr(word),
                expected=f"groups {listing(GROUPS)} or names such as {listing(list(features)[:4])}",
                remedy=suggestion(word, [*GROUPS, *features]),
            )
    found = tuple(
        name
        for name in features
        if (name in words or _group(name) in words) and _in_layers(name, layers)
    )
    if not found:
        raise InputError("features", got=f"{words} in layers {layers}", expected="at least one")
    return found


def _moments(energies: Array, place: Array) -> tuple[Array, Array]:
    total = energies.sum(axis=1)
    safe = np.where(total > 0.0, total, 1.0)
    mean = energies @ place / safe
    # Two passes: the difference of squares would lose narrow showers to rounding.
    squares = np.einsum("nv,nv->n", energies, (place - mean[:, None]) ** 2)
    return np.where(total > 0.0, mean, 0.0), np.where(total > 0.0, np.sqrt(squares / safe), 0.0)


def _layer_features(layer: Layer) -> list[Feature]:
    tag, span = f"layer_{layer.number}", layer.edges[-1]
    found = [Feature(f"energy_{tag}", unit="MeV", kind="spike-at-zero", low=0.0)]
    if layer.sectors > 1:
        for axis in ("eta", "phi"):
            name = f"{axis}_{tag}"
            found.append(Feature(name, unit="mm", kind="spike-at-zero", low=-span, high=span))
            found.append(_width(f"width_{name}"))
    found.append(Feature(f"occupancy_{tag}", kind="discrete", low=0.0, high=1.0))
    found.append(Feature(f"radius_{tag}", unit="mm", kind="spike-at-zero", low=0.0))
    return [*found, _width(f"width_radius_{tag}")]


def _width(name: str) -> Feature:
    return Feature(name, unit="mm", kind="spike-at-zero", low=0.0)


def _group(name: str) -> str:
    if "radius" in name:
        return "radius"
    head = name.partition("_layer_")[0].partition("_")[0]
    if name == "energy_ratio":
        return "ratio"
    return {"eta": "centroid", "phi": "centroid"}.get(head, head)


def _in_layers(name: str, layers: Sequence[int] | None) -> bool:
    if layers is None or "_layer_" not in name:
        return True
    return int(name.rpartition("_")[2]) in layers
