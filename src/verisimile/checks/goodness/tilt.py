"""The exponential-family alternative: always positive, jointly convex, without a barrier."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.distance import pdist

from verisimile.checks.goodness.kernels import SCAN, Kernels, Quantiles, Widths
from verisimile.checks.goodness.null_model import Null
from verisimile.checks.goodness.tilt_features import TiltFeatures
from verisimile.checks.goodness.tilt_setup import TiltSetup
from verisimile.core.arrays import Array, frozen
from verisimile.core.errors import InputError
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.density.input_map import InputMap
from verisimile.mixture.newton import NewtonSolver

__all__ = ["ExponentialTilt"]

_PER_EVENT = 10
_FEWEST, _MOST = 10_000, 1_000_000
_QUANTILES, _OF_QUANTILES = (0.0005, 0.5), np.array([1.0, 0.7])
_NARROWEST = (0.3, 1.0)
_AUTO_EVENTS = 500
_SCORE_BINS = 32


@dataclass(frozen=True, slots=True)
class ExponentialTilt:
    r"""Settings of the alternative :math:`p_1 = \hat f e^{s \cdot \eta + k \cdot b} / Z`.

    s are the relative eigen-variations :math:`B/\hat f` and k Gaussian bumps
    :math:`e^{-|y - c|^2 / 2 h^2}` in normal scores y; the null has b = 0.  Z is
    a mean over reference events of :math:`\hat f`, the same in both hypotheses
    and in every toy.  To first order in the deviation it is the linear
    alternative; beyond, it is positive for all parameters and needs no barrier.

    Attributes
    ----------
    count
        K, number of bumps; 0 for none.
    width
        Their standard deviation in normal scores.  A tuple gives each width an
        equal share of the bumps; None takes the 0.05 % quantile of the distances
        between events of the model, at least 0.3, and 0.7 of their median, at
        least 1: about 0.3 and 1.2 for two features, 0.35 and 1.8 for four.  Wide
        bumps see the whole, narrow ones a part; both were the best compromise
        of a power study, and forty had more power than a hundred.
    reference
        R, events for Z, or None for ten times the test sample, at least 10 000
        and, unless the sample is larger, at most a million.  Its noise adds n/R
        to t, alike in data and toys.  The features of the reference take
        8 R (r + K) bytes.
    ridge
        Quadratic penalty on the whitened coefficients b in both fits.  The
        data's information on them is n, so that one is nothing; but with none at
        all, data beyond the reference would have no finite optimum.
    truncation
        Combinations of bumps whose variance under the model is below this
        fraction of the largest are dropped.
    cap
        Largest |s|.  Where the density is uncertain by more than this factor,
        or not positive, the variations are held at this length.
    solver
        Tolerance and most iterations of both fits.

    References
    ----------
    A. Barron, C. Sheu, Ann. Statist. 19 (1991) 1347 (exponential families as alternatives);
    J. Neyman, Skand. Aktuarietidskr. 20 (1937) 149 (smooth tests).
    """

    count: int = 40
    width: Widths | None = None
    reference: int | None = None
    ridge: float = 1.0
    truncation: float = 1e-6
    cap: float = 2.0
    solver: NewtonSolver = NewtonSolver()

    def __post_init__(self) -> None:
        widths = self.width if isinstance(self.width, tuple) else (self.width,)
        good = (
            self.count >= 0
            and len(widths) > 0
            and all(w is None or isinstance(w, Quantiles) or w > 0 for w in widths)
            and (self.reference is None or self.reference >= 1000)
            and self.ridge >= 0
            and 0 < self.truncation < 1
            and self.cap > 0
        )
        if not good:
            raise InputError(
                "ExponentialTilt",
                got=repr(self),
                expected="count >= 0, width > 0, reference >= 1000, ridge >= 0, "
                "0 < truncation < 1, cap > 0",
            )

    @property
    def name(self) -> str:
        """Name that is recorded with the statistic."""
        if self.width is None or isinstance(self.width, Quantiles):
            shown = "widths from distances"
        else:
            widths = self.width if isinstance(self.width, tuple) else (self.width,)
            shown = "width " + ", ".join(f"{w:g}" for w in widths)
        return f"exponential tilt along {self.count} bumps, {shown}"

    def scan(self, *quantiles: float) -> tuple[ExponentialTilt, ...]:
        """Return one alternative per quantile of distances, to be combined by their smallest p."""
        return tuple(replace(self, width=Quantiles((q,))) for q in quantiles or SCAN)

    def prepare(self, run: Run, null: Null, *, events: int) -> TiltSetup:
        """Draw the reference, place the bumps, and compute what all fits share.

        Centres are events of the model that are not in the reference: a bump on
        a reference event would find itself over-populated there.
        """
        return self.prepare_several(run, null, events=events, placements=1)[0]

    def prepare_several(
        self, run: Run, null: Null, *, events: int, placements: int
    ) -> tuple[TiltSetup, ...]:
        """Place the bumps several times on one reference, whose densities are the dear part."""
        rng = run.seeds.at("reference", "exponential-tilt").numpy()
        size = self.reference or max(min(_PER_EVENT * events, _MOST), _FEWEST, events)
        drawn = null.sample(np.zeros(null.variations.shape[1]), self.count + size, rng)
        model = Events(drawn.x, features=null.features)
        first = Kernels.at(model, self.count, self._widths(model), 0, rng)
        x, logf = drawn.x[self.count :], drawn.log_densities[self.count :]
        # Without bumps there is nothing to place again.
        others = [
            self._elsewhere(first, run.at("placement", j), null)
            for j in range(1, placements if self.count else 1)
        ]
        return tuple(self._on(null, kernels, x, logf, events) for kernels in (first, *others))

    def _elsewhere(self, kernels: Kernels, run: Run, null: Null) -> Kernels:
        """Return the same kernels at other events of the model."""
        rng = run.seeds.at("exponential-tilt").numpy()
        drawn = null.sample(np.zeros(null.variations.shape[1]), self.count, rng)
        centres, _ = kernels.transform.forward(drawn.x)
        return replace(kernels, centres=frozen(centres))

    def _on(self, null: Null, kernels: Kernels, x: Array, logf: Array, events: int) -> TiltSetup:
        features = TiltFeatures.whitened(
            null, kernels, cap=self.cap, bumps=kernels.bumps(x), truncation=self.truncation
        )
        rows, _ = features.at(x, logf)
        return TiltSetup.of(features, rows, events=events, ridge=self.ridge, solver=self.solver)

    def _widths(self, model: Events) -> Widths:
        if self.width is not None:
            return self.width
        y, _ = InputMap.fit(model, _SCORE_BINS).forward(model.x[:_AUTO_EVENTS])
        found = _OF_QUANTILES * np.quantile(pdist(y), _QUANTILES)
        return tuple(float(width) for width in np.maximum(found, _NARROWEST))
