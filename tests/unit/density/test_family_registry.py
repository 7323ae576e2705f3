"""Only registered families are rebuilt from files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError
from verisimile.core.records import Payload
from verisimile.data.truths import GaussianTruth
from verisimile.density.registry import pack, register_family, unpack


class Shifted(GaussianTruth):
    """A Gaussian that can be stored."""

    family = "registry-shifted"


def to_payload(model: Shifted) -> Payload:
    return Payload({"mu": np.array(model.mu), "sigma": np.array(model.sigma)}, {"note": "x"})


def from_payload(spec: Mapping[str, JSON], arrays: Mapping[str, npt.NDArray[Any]]) -> Shifted:
    assert spec["note"] == "x"
    return Shifted(tuple(arrays["mu"]), tuple(arrays["sigma"]))


def test_round_trip() -> None:
    register_family("registry-shifted", to_payload, from_payload)
    register_family("registry-shifted", to_payload, from_payload)  # a module imported again
    model = Shifted((1.0, 2.0), (3.0, 4.0))
    payload = pack(model)
    assert payload.meta == {"family": "registry-shifted", "note": "x"}
    assert unpack(payload.meta, payload.arrays) == model


def test_a_name_belongs_to_one_family() -> None:
    register_family("registry-taken", to_payload, from_payload)
    with pytest.raises(InputError, match="registry-taken"):
        register_family("registry-taken", lambda model: to_payload(model), from_payload)


def test_unknown_families_are_refused() -> None:
    with pytest.raises(InputError, match="GaussianTruth"):
        pack(GaussianTruth.paper())
    with pytest.raises(InputError, match="register_family"):
        unpack({"family": "os.system"}, {})
    with pytest.raises(InputError, match="None"):
        unpack({}, {})
