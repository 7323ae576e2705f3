"""What configuration a store belongs to, written before the first member is trained."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, cast

from verisimile.core.canonical import JSON, canonical, restored
from verisimile.core.errors import StoreError
from verisimile.core.run import Failure
from verisimile.core.store import Store
from verisimile.data.feature import Feature

__all__ = ["Manifest", "check_manifest", "read_manifest", "write_manifest"]

_NAME = "manifest.json"
_SCHEMA = "verisimile.ensemble/1"
_PACKAGES = ("verisimile", "torch", "nflows", "numpy", "scipy")
_NAMED = 6
_REMEDY = "Choose another folder for these settings, or use the settings of this one to resume it."


@dataclass(frozen=True, slots=True)
class Manifest:
    """The configuration of an ensemble and where its members are.

    Attributes
    ----------
    settings
        Trainer, plan, features, training digest and seeds: two ensembles are
        the same if these agree.
    members
        Address and fingerprint of each member's record.
    failures
        Members whose training failed; None while training is not finished.
    """

    settings: Mapping[str, JSON]
    members: tuple[tuple[str, str], ...]
    failures: tuple[Failure, ...] | None = None

    @property
    def features(self) -> tuple[Feature, ...]:
        """Feature specifications."""
        return tuple(Feature.from_dict(value) for value in cast(Any, self.settings["features"]))

    @property
    def training_digest(self) -> str:
        """Digest of the training events."""
        return str(cast(Any, self.settings["training"])["digest"])


def check_manifest(store: Store, manifest: Manifest) -> None:
    """Raise if the store belongs to another configuration.

    Raises
    ------
    StoreError
        Naming the settings that differ.
    """
    found = store.read_json(_NAME)
    if found is None:
        return
    settings = found.get("settings") if isinstance(found, Mapping) else None
    if not isinstance(settings, Mapping):
        raise _unreadable(store, "no settings")
    there, here = _flat(settings), _flat(restored(cast(JSON, manifest.settings)))
    names = [name for name in sorted({*there, *here}) if there.get(name) != here.get(name)]
    if names:
        listed = [
            f"{n}: {there.get(n, 'absent')} there, {here.get(n, 'absent')} here" for n in names
        ]
        more = f"; and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        raise StoreError(
            f"{_NAME} in {store!r}",
            got=f"an ensemble with other settings ({'; '.join(listed[:_NAMED])}{more})",
            expected="an empty store, or one with the same settings",
            remedy=_REMEDY,
        )


def write_manifest(store: Store, manifest: Manifest) -> None:
    """Write the manifest; versions are those of the process that writes it first."""
    found = store.read_json(_NAME)
    versions = found.get("versions") if isinstance(found, Mapping) else None
    store.write_json(
        _NAME,
        {
            "schema": _SCHEMA,
            "settings": manifest.settings,
            "members": [{"address": a, "fingerprint": f} for a, f in manifest.members],
            "failures": _described(manifest.failures),
            "versions": versions or _versions(),
        },
    )


def read_manifest(store: Store) -> Manifest:
    """Return the manifest of a store.

    Raises
    ------
    StoreError
        If there is none, or it is not of this kind.
    """
    found = store.read_json(_NAME)
    if found is None:
        raise StoreError(
            f"{_NAME} in {store!r}",
            got="no such document",
            expected="a store in which an ensemble was trained",
            remedy="Train one with vs.fit_ensemble or `verisimile fit`, or check the path.",
        )
    loose = cast(Any, found)
    try:
        if loose["schema"] != _SCHEMA:
            raise _unreadable(store, f"schema {loose['schema']!r}")
        members = tuple((str(m["address"]), str(m["fingerprint"])) for m in loose["members"])
        failures = loose["failures"]
        failed = None if failures is None else tuple(Failure(**failure) for failure in failures)
        return Manifest(loose["settings"], members, failed)
    except (KeyError, TypeError) as error:
        raise _unreadable(store, f"{type(error).__name__}: {error}") from None


def _flat(value: JSON, prefix: str = "") -> dict[str, str]:
    """Return dotted names and canonical values of all leaves."""
    if isinstance(value, Mapping):
        parts = [_flat(item, f"{prefix}.{key}" if prefix else key) for key, item in value.items()]
        return {name: leaf for part in parts for name, leaf in part.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        parts = [_flat(item, f"{prefix}[{number}]") for number, item in enumerate(value)]
        return {name: leaf for part in parts for name, leaf in part.items()}
    return {prefix: canonical(value)}


def _described(failures: tuple[Failure, ...] | None) -> list[dict[str, JSON]] | None:
    return None if failures is None else [asdict(failure) for failure in failures]


def _versions() -> dict[str, JSON]:
    versions: dict[str, JSON] = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def _unreadable(store: Store, reason: str) -> StoreError:
    return StoreError(
        f"{_NAME} in {store!r}",
        got=f"a document that is no ensemble's manifest ({reason})",
        expected=_SCHEMA,
        remedy="Choose another folder, or remove this document and train again.",
    )
