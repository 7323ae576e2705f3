"""What a test must leave as it found it: random streams, torch defaults, warning filters."""

from __future__ import annotations

import hashlib
import sys
import warnings
from collections.abc import Mapping

import numpy as np

# These add warning filters of their own when first imported; a test that happens to be the
# first to import one is not to blame.
_ADD_FILTERS_AT_IMPORT = (
    *("astropy", "astropy.table", "scipy.special", "scipy.stats", "sympy", "torch", "uproot"),
)


def snapshot() -> dict[str, object]:
    """Return the process-wide state by name; torch's part only once torch is imported."""
    state: dict[str, object] = {
        "numpy global random state": _numpy_stream(),
        f"warning filters {_filter_owners()}": tuple(warnings.filters),
    }
    if "torch" in sys.modules:
        state |= _torch_state()
    return state


def differences(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """Return the names present in both snapshots whose values differ."""
    return [name for name in before if name in after and before[name] != after[name]]


def _numpy_stream() -> str:
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002
    text = f"{name}/{position}/{has_gauss}/{cached}/"
    return hashlib.sha256(text.encode() + np.asarray(keys).tobytes()).hexdigest()


def _torch_state() -> dict[str, object]:
    import torch

    return {
        "torch global random state": torch.get_rng_state().numpy().tobytes(),
        "torch default dtype": torch.get_default_dtype(),
        "torch thread count": torch.get_num_threads(),
    }


def _filter_owners() -> tuple[str, ...]:
    return tuple(name for name in _ADD_FILTERS_AT_IMPORT if name in sys.modules)
