"""What tells two densities apart: their content, or how they answer."""

from __future__ import annotations

import hashlib

import numpy as np

from verisimile.core.arrays import Array, digest
from verisimile.core.canonical import canonical
from verisimile.core.errors import InputError
from verisimile.density.average import AveragedDensity
from verisimile.density.protocol import ConditionalDensity, DensityEstimator
from verisimile.density.registry import pack


def content_key(
    model: DensityEstimator | ConditionalDensity, probes: int, context: Array | None = None
) -> str:
    """Return a hash of a model's parameters.

    A stranger's model, which nobody can write to a file, is known by `probes` of its own
    draws, at the `context` ``(C,)`` of a conditional one, and the densities there.  Of those that
    can be written the parameters alone count: densities differ in rounding from one processor, or
    from one installation, to another.
    """
    if isinstance(model, AveragedDensity):
        keys = [content_key(part, probes) for part in model.parts]
        return hashlib.sha256(canonical(["average", *keys]).encode()).hexdigest()
    try:
        payload = pack(model)
    except InputError:
        return digest(*_answers(model, probes, context))
    names = sorted(payload.arrays)
    content = digest(*(np.asarray(payload.arrays[name]) for name in names))
    return hashlib.sha256(canonical([names, content, payload.meta]).encode()).hexdigest()


def _answers(
    model: DensityEstimator | ConditionalDensity, probes: int, context: Array | None
) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    if isinstance(model, ConditionalDensity):
        rows = np.tile(np.zeros(model.n_context) if context is None else context, (probes, 1))
        x = model.sample(rows, rng)
        return x, np.asarray(model.log_prob(x, rows))
    x = model.sample(probes, rng)
    return x, np.asarray(model.log_prob(x))
