"""How much of a metric's variance is of which source: crossed and nested random effects."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, as_vector
from verisimile.core.errors import require
from verisimile.core.result import Estimate, Result, register

_MOST = 2000
_SINGULAR = 1e-10


@register("variance-parts", 1)
@dataclass(frozen=True, slots=True)
class VarianceParts(Result):
    """Variance components of a metric.

    Attributes
    ----------
    mean
        Mean of the metric.
    parts
        Variance of each factor, in the order given, then ``"rest"``: interactions and what no
        factor names.  May be negative by fluctuation.
    levels
        Number of levels of each factor.
    total
        Sum of the parts: the variance of one value with all factors drawn anew, the paper's
        total evaluation uncertainty.
    """

    mean: float
    parts: Mapping[str, Estimate]
    levels: Mapping[str, int]
    n: int
    total: Estimate
    listed: ClassVar[tuple[str, ...]] = ("parts",)

    def share(self, name: str) -> float:
        """Return a factor's part of the total, negative parts taken as zero."""
        known = ", ".join(self.parts)
        require(name in self.parts, "factor", got=repr(name), expected=f"one of {known}")
        kept = {key: max(0.0, part.value) for key, part in self.parts.items()}
        total = sum(kept.values())
        return kept[name] / total if total > 0.0 else math.nan


def variance_parts(
    values: npt.ArrayLike,
    factors: Mapping[str, Sequence[Hashable]],
    *,
    nested: Mapping[str, Sequence[str]] | None = None,
) -> VarianceParts:
    r"""Return the variance components of a metric over the factors of its design.

    .. math:: y_i = \mu + \sum_f u_f[l_f(i)] + e_i, \quad
              \mathrm{Var}\,u_f = \sigma_f^2, \quad \mathrm{Var}\,e = \sigma_e^2

    With P the projection that removes the mean, the quadratic forms
    :math:`q_f = |Z_f^T P y|^2` and :math:`q_e = |P y|^2` have expectations linear in the
    components; solving gives unbiased estimates for any balanced or unbalanced, crossed or
    nested design (MINQUE(0)), and those of the analysis of variance for balanced ones.  Errors
    are those of normal effects.

    Parameters
    ----------
    values
        A metric ``(n,)``: an area, a distance, a p-value's z.
    factors
        Level of each value, by factor: for example ``initialisation``, ``training data``,
        ``generated sample`` and ``reference sample``.  Equal labels are one draw of the factor.
    nested
        Factors whose labels are counted within others: ``{"generated sample":
        ["initialisation", "training data"]}`` makes sample 1 of one network and sample 1 of
        another different.

    Raises
    ------
    InputError
        If lengths differ, a factor has one level, there are more than 2 000 values, or the
        design cannot tell the named factors apart: a factor with a level of its own for each
        value is the rest.

    References
    ----------
    G. Morales et al., "Towards uncertainty quantification in generative model learning", eq. 1
    (the total); C. R. Rao, J. Multivar. Anal. 1 (1971) 445; S. Searle, G. Casella,
    C. McCulloch, Variance Components (1992), sections 5.3 and 11.3.

    Examples
    --------
    >>> found = variance_parts([1.0, 1.2, 2.0, 2.2, 3.0, 3.2], {"network": [0, 0, 1, 1, 2, 2]})
    >>> print(f"{found.parts['network'].value:.3f} {found.parts['rest'].value:.3f}")
    0.990 0.020
    """
    y = as_vector(values, "values")
    blocks = _blocks(y.size, factors, nested or {})
    centred = [z - z.mean(axis=0) for z in blocks.values()]
    design = _expectations(centred, y.size)
    _check_design(design, list(blocks))
    inverse = np.asarray(np.linalg.inv(design), dtype=np.float64)
    deviation = y - y.mean()
    forms = [float(((z.T @ deviation) ** 2).sum()) for z in centred]
    found = inverse @ np.array([*forms, float(deviation @ deviation)])
    covariance = _covariance(inverse, centred, np.maximum(found, 0.0), y.size)
    names = [*blocks, "rest"]
    errors = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
    return VarianceParts(
        mean=float(y.mean()),
        parts={
            k: Estimate(float(v), float(e)) for k, v, e in zip(names, found, errors, strict=True)
        },
        levels={name: z.shape[1] for name, z in blocks.items()},
        n=y.size,
        total=Estimate(float(found.sum()), math.sqrt(max(0.0, float(covariance.sum())))),
    )


def _blocks(
    n: int, factors: Mapping[str, Sequence[Hashable]], nested: Mapping[str, Sequence[str]]
) -> dict[str, Array]:
    """Return the indicator matrix ``(n, levels)`` of each factor."""
    require(
        factors and "rest" not in factors and n <= _MOST,
        "factors",
        got=f"{list(factors)} of {n} values",
        expected=f"one or more, none called 'rest', of at most {_MOST} values",
    )
    for name in [*nested, *(outer for inside in nested.values() for outer in inside)]:
        known = ", ".join(factors)
        require(name in factors, "nested", got=repr(name), expected=f"one of {known}")
    found = {}
    for name, own in factors.items():
        within = [factors[outer] for outer in nested.get(name, ())]
        found[name] = _indicator(name, list(zip(own, *within, strict=True)), n)
    return found


def _indicator(name: str, labels: Sequence[Hashable], n: int) -> Array:
    levels = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    require(
        len(labels) == n and len(levels) >= 2,
        f"factor {name!r}",
        got=f"{len(labels)} labels of {len(levels)} levels",
        expected=f"{n} labels of at least two levels",
        remedy="The variance of a factor that never changes cannot be seen: leave it out.",
    )
    found = np.zeros((n, len(levels)))
    found[np.arange(n), [levels[label] for label in labels]] = 1.0
    return found


def _expectations(centred: Sequence[Array], n: int) -> Array:
    """Return the matrix of the forms' expectations, factors and the rest in rows and columns."""
    count = len(centred)
    found = np.empty((count + 1, count + 1))
    for i, one in enumerate(centred):
        for j, other in enumerate(centred):
            found[i, j] = ((one.T @ other) ** 2).sum()
        found[i, count] = found[count, i] = (one**2).sum()
    found[count, count] = n - 1.0
    return found


def _check_design(design: Array, names: Sequence[str]) -> None:
    scale = np.sqrt(np.diagonal(design))
    require(
        np.linalg.eigvalsh(design / np.outer(scale, scale))[0] >= _SINGULAR,
        "design",
        got=f"factors {', '.join(names)} that these values cannot tell apart",
        expected="values that share a level of one factor and differ in the others",
        remedy="Repeat the metric, for example two generated samples of each network.",
    )


def _covariance(inverse: Array, centred: Sequence[Array], parts: Array, n: int) -> Array:
    """Return the covariance of the estimates for normal effects with these variances."""
    forms = [z @ z.T for z in centred]
    projection = np.eye(n) - 1.0 / n
    total = sum((p * f for p, f in zip(parts, forms, strict=False)), parts[-1] * projection)
    products = [form @ total for form in [*forms, projection]]
    gram = np.array([[float((a * b.T).sum()) for b in products] for a in products])
    return np.asarray(2.0 * inverse @ gram @ inverse.T)
