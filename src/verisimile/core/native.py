"""The compiled library, where the installation could make one.

`src/native` holds the sources, `src/native/build.py` compiles them at installation.  Whoever has
a compiled path also has one without, of the same results to rounding, and takes it when
`library` returns None: there was no compiler, or the environment says ``VERISIMILE_NATIVE=0``.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

_PLACE = Path(__file__).parent
_LEVELS = ("_x86_64_v4", "_x86_64_v3")  # best first; the plain one runs everywhere


def library() -> ctypes.CDLL | None:
    """Return the library for this processor, or None."""
    return None if os.environ.get("VERISIMILE_NATIVE") == "0" else _loaded()


def available() -> bool:
    """Return whether compiled code is used."""
    return library() is not None


def pointer(array: npt.NDArray[np.generic]) -> ctypes.c_void_p:
    """Return the address of an array's first element, which must be followed by the others.

    Raises
    ------
    ValueError
        If it is not C-contiguous: the library would read something else.
    """
    if not array.flags.c_contiguous:
        raise ValueError(f"an array of strides {array.strides} is not contiguous")
    return ctypes.c_void_p(array.ctypes.data)


@cache
def _loaded() -> ctypes.CDLL | None:
    plain = _open("")
    if plain is None:
        return None
    level = int(plain.vs_processor_level())
    for name, least in zip(_LEVELS, (4, 3), strict=True):
        if level >= least and (found := _open(name)) is not None:
            return found
    return plain


def _open(suffix: str) -> ctypes.CDLL | None:
    path = _PLACE / f"_native{suffix}.so"
    try:
        return ctypes.CDLL(str(path)) if path.exists() else None
    except OSError:  # made for another platform, or another C library
        return None
