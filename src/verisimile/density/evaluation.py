"""A stack of spline layers as a density over its standard normal base, in blocks of events."""

from __future__ import annotations

import math

import numpy as np
import torch

from verisimile.core.arrays import Array
from verisimile.density.fast_flow import FastFlow
from verisimile.density.torch_scope import one_thread

__all__ = ["from_base", "log_base"]

_CHUNK = 2048  # events at a time: their hidden units stay in the cache
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def log_base(fast: FastFlow, z: Array) -> Array:
    r"""Return :math:`\log N(f(z); 0, 1) + \log |\det f'(z)|`, ``(n,)``.

    Parameters
    ----------
    fast
        f.
    z
        The flow's coordinates ``(n, C + d)``, context columns first.
    """
    out = np.empty(len(z))
    with one_thread(), torch.inference_mode():
        for rows in _chunks(len(z)):
            columns = torch.from_numpy(np.ascontiguousarray(z[rows].T)).to(fast.dtype)
            u, log_det = fast.forward(columns)
            out[rows] = (log_det - 0.5 * u.double().square().sum(dim=0)).numpy()
    return np.asarray(out - (z.shape[1] - fast.context) * _HALF_LOG_2PI)


def from_base(fast: FastFlow, u: Array) -> Array:
    """Return the flow's coordinates ``(n, d)`` of base variables ``(n, C + d)``, context first."""
    z = np.empty((len(u), u.shape[1] - fast.context))
    with one_thread(), torch.inference_mode():
        for rows in _chunks(len(u)):
            columns = torch.from_numpy(np.ascontiguousarray(u[rows].T)).to(fast.dtype)
            z[rows] = fast.inverse(columns).double().numpy().T
    return z


def _chunks(n: int) -> list[slice]:
    return [slice(start, min(start + _CHUNK, n)) for start in range(0, n, _CHUNK)]
