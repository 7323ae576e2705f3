"""Values of a signed mixture from its members' log-densities."""

from __future__ import annotations

import numpy as np

from verisimile.core.arrays import Array
from verisimile.mixture.objective import scaled

__all__ = ["log_mixed", "mixed_error"]


def log_mixed(logf: Array, weights: Array) -> Array:
    r"""Return :math:`\log \max(0, \sum_i w_i f_i)`, ``(n,)``.

    Parameters
    ----------
    logf
        Members' log-densities ``(n, M)``; a row may be minus infinity throughout.
    weights
        w, ``(M,)``, of any sign.
    """
    out = np.full(logf.shape[0], -np.inf)
    possible = logf.max(axis=1) > -np.inf
    density, top = scaled(logf[possible])
    mixed = density @ weights
    values = np.full(mixed.size, -np.inf)
    np.log(mixed, out=values, where=mixed > 0.0)
    out[possible] = values + top
    return out


def mixed_error(logf: Array, covariance: Array) -> Array:
    r"""Return :math:`\sqrt{f^T C f}`, ``(n,)``, in density units.

    References
    ----------
    G. Badaracco et al., eq. 3.
    """
    density = np.exp(logf)
    variance = np.einsum("ni,ij,nj->n", density, covariance, density)
    return np.asarray(np.sqrt(np.clip(variance, 0.0, None)))
