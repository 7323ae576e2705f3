"""Training of an ensemble's spline flows as one batched model, in plain torch.

What runs without a compiler and on a GPU, and what the compiled training is compared with.
Members go through a step side by side, with their own batches, step sizes, lengths of
gradients and numbers of steps; one with fewer batches leaves the last steps of an epoch to the
others.  No graph is recorded: `stacked_flow` has the derivatives written out, and all of a
step stays in room that is allocated once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from verisimile.core.arrays import Array, IntArray
from verisimile.density.flows.epochs import AdamState
from verisimile.density.flows.packed import PackedLayout
from verisimile.density.flows.stacked_flow import StackedFlow, Vectors
from verisimile.density.torch_scope import CPU, Placement, threads
from verisimile.density.training import CoordinateSample, Student

_LOG_2PI = math.log(2 * math.pi)
_CHUNK = 1024  # validation events at a time
_BETAS = (0.9, 0.999)
_EPS = 1e-8
_NONE = 1e-30  # its root is far below _EPS
_KEPT = 1 << 28  # numbers that a GPU keeps of a step: 1 GiB in float32


class _Data(NamedTuple):
    """Events of one sample on the device: columns ``(n, C + d)`` and weights ``(n,)``."""

    z: Tensor
    weights: Tensor

    @classmethod
    def of(cls, sample: CoordinateSample, like: Tensor) -> _Data:
        return cls(sample.z.to(like), sample.weights.to(like))


class _Work(NamedTuple):
    """What one member does in an epoch."""

    member: int
    order: Tensor
    rates: Array
    batch: int

    def rows(self, step: int) -> Tensor:
        """Return the events of a step."""
        return self.order[step * self.batch : (step + 1) * self.batch]


class _Batch(NamedTuple):
    """Weights ``(m, n)`` of the events that flows were given, and how many they are ``(m, 1)``."""

    weights: Tensor
    counts: Tensor

    def losses(self, u: Tensor, log_det: Tensor) -> Tensor:
        """Return the members' sums of weighted losses."""
        each = 0.5 * ((u * u).sum(1) + u.shape[1] * _LOG_2PI) - log_det
        return (self.weights * each).sum(1, dtype=torch.float64)

    def descend(self, flow: StackedFlow) -> Tensor:
        """Fill in the gradient of the mean weighted losses; return their sums."""
        u, log_det = flow.forward()
        shares = self.weights / self.counts
        flow.backward(u * shares.unsqueeze(1), -shares)
        return self.losses(u, log_det)


class _AtWork(NamedTuple):
    """Parameters, Adam's memory and gradients ``(m, P)`` of the members at work; mask ``(P,)``."""

    parameters: Tensor
    first: Tensor
    second: Tensor
    gradient: Tensor
    mask: Tensor

    def leading(self, count: int) -> _AtWork:
        """Return the first members, as views."""
        held = (self.parameters, self.first, self.second, self.gradient)
        parameters, first, second, gradient = (values[:count] for values in held)
        return _AtWork(parameters, first, second, gradient, self.mask)

    def step(self, clip: float, size: Tensor, over_root: Tensor) -> None:
        r"""Take one step of Adam on gradients of at most the norm `clip`, which are used up.

        .. math:: p \leftarrow p - \frac{\epsilon}{1 - \beta_1^t}
                  \frac{m}{\sqrt{v / (1 - \beta_2^t)} + 10^{-8}}

        `size` and `over_root` ``(m, 1)`` are the first fraction and
        :math:`1 / \sqrt{1 - \beta_2^t}` (Kingma and Ba 2015, algorithm 1).
        """
        gradient = self.gradient.mul_(self.mask)
        norm = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
        gradient.mul_((clip / (norm + 1e-6)).clamp_(max=1.0))
        self.first.lerp_(gradient, 1.0 - _BETAS[0])
        self.second.mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1.0 - _BETAS[1])
        # Roots of zeros take four times as long as others; this changes none that matters.
        root = torch.add(self.second, _NONE, out=gradient).sqrt_().mul_(over_root).add_(_EPS)
        self.parameters.addcmul_(torch.div(self.first, root, out=root), size, value=-1.0)


class StackedEpochs:
    """Members of one architecture, trained side by side in plain torch.

    Parameters
    ----------
    layout
        Where parameters are in the vectors.
    state
        Of the M members; changed by each epoch, in the precision of its arrays.
    students
        What each member learns from.
    batches
        Batch size of each member.
    clip
        Largest norm of a member's gradient.
    placement
        Device, and threads of the CPU.
    abreast
        Members in one product.  By default one on a CPU, where more are hardly faster: a
        member's bits then depend on no other.  As many as fit on a GPU, which wants work.
    """

    def __init__(
        self,
        layout: PackedLayout,
        state: AdamState,
        students: Sequence[Student],
        batches: Sequence[int],
        clip: float,
        placement: Placement = CPU,
        abreast: int | None = None,
    ) -> None:
        self.state = state
        self.layout = layout
        self.batches = batches
        self.clip = clip
        self.placement = placement
        self.abreast = abreast
        self.mask = self._on_device(layout.mask.astype(state.parameters.dtype))
        self.training, self.validation = (
            [_Data.of(sample, self.mask) for sample in samples]
            for samples in zip(
                *((each.training, each.validation) for each in students), strict=True
            )
        )

    def epoch(
        self, members: Sequence[int], orders: Sequence[IntArray], rates: Sequence[Array]
    ) -> Array:
        """Train some of the members for an epoch; return their mean weighted losses on the way.

        Arguments are those of `Epochs`.  If it raises, the state is that before the epoch for
        some members and that after it for the others.
        """
        return self._in_groups(
            self._train,
            [
                _Work(member, self._on_device(order), rate, self.batches[member])
                for member, order, rate in zip(members, orders, rates, strict=True)
            ],
        )

    def losses(self, members: Sequence[int]) -> Array:
        """Return the members' mean weighted losses on their validation events."""
        return self._in_groups(self._evaluate, [self._validation_work(each) for each in members])

    def _validation_work(self, member: int) -> _Work:
        events = torch.arange(len(self.validation[member].z), device=self.mask.device)
        return _Work(member, events, np.zeros(-(-len(events) // _CHUNK)), _CHUNK)

    def _in_groups(self, task: Callable[[list[_Work]], Tensor], works: Sequence[_Work]) -> Array:
        """Return mean weighted losses from the sums that `task` returns for a few members."""
        sums = {}
        with threads(self.placement.threads), torch.inference_mode():
            for group in self._groups(works):
                found = task(group).tolist()
                sums.update({work.member: each for work, each in zip(group, found, strict=True)})
        return np.array([sums[work.member] / len(work.order) for work in works])

    def _groups(self, works: Sequence[_Work]) -> Iterator[list[_Work]]:
        """Yield members that go through a step side by side, those with most steps first."""
        abreast = self.abreast or self._fitting(max((each.batch for each in works), default=1))
        ordered = sorted(works, key=lambda work: (-len(work.rates), work.member))
        for first in range(0, len(ordered), abreast):
            yield ordered[first : first + abreast]

    def _fitting(self, batch: int) -> int:
        """Return how many members go through a step side by side unless it was said."""
        if self.mask.device.type == "cpu":
            return 1
        shape = self.layout.shape
        splines = shape.features * (4 * shape.bins + 20)
        event = shape.layers * (splines + (shape.blocks + 1) * shape.hidden)
        return max(_KEPT // (event * batch), 1)

    def _train(self, works: list[_Work]) -> Tensor:
        state, numbers = self.state, [work.member for work in works]
        arrays = (state.parameters, state.first_moment, state.second_moment)
        # Copies on a CPU, too: members at work need not be neighbours.
        parameters, first, second = held = [self._on_device(array[numbers]) for array in arrays]
        descent = _AtWork(parameters, first, second, torch.zeros_like(first), self.mask)
        sizes, over_roots = self._steps(works)
        sums = torch.zeros(len(works), dtype=torch.float64, device=self.mask.device)
        for step, flow, batch in self._batches(works, descent.parameters, descent.gradient):
            m = len(batch.weights)
            sums[:m] += batch.descend(flow)
            descent.leading(m).step(self.clip, sizes[step, :m], over_roots[step, :m])
        for array, values in zip(arrays, held, strict=True):
            array[numbers] = values.cpu().numpy()
        state.taken[numbers] += [len(work.rates) for work in works]
        return sums

    def _evaluate(self, works: list[_Work]) -> Tensor:
        parameters = self._on_device(self.state.parameters[[work.member for work in works]])
        sums = torch.zeros(len(works), dtype=torch.float64, device=self.mask.device)
        for _, flow, batch in self._batches(works, parameters, None):
            sums[: len(batch.weights)] += batch.losses(*flow.forward())
        return sums

    def _batches(
        self, works: list[_Work], parameters: Tensor, gradient: Tensor | None
    ) -> Iterator[tuple[int, StackedFlow, _Batch]]:
        """Yield the number of each step, the flows of those who take part, and their events.

        With a gradient it is a step of training.
        """
        data = self.validation if gradient is None else self.training
        flow = None
        for step in range(len(works[0].rates)):
            members = [work for work in works if step < len(work.rates)]
            events = [work.rows(step) for work in members]
            m, n = len(members), max(map(len, events))
            if flow is None or flow.x.shape[::2] != (m, n):
                vectors = (parameters[:m], None if gradient is None else gradient[:m])
                flow = StackedFlow(self.layout, Vectors(*vectors), n)
            yield step, flow, _fill(flow, [data[work.member] for work in members], events)

    def _steps(self, works: list[_Work]) -> tuple[Tensor, Tensor]:
        """Return Adam's two factors of each step and member ``(steps, m, 1)``, one-based."""
        sizes, over_roots = np.zeros((2, len(works[0].rates), len(works), 1))
        for number, (member, _, rates, _) in enumerate(works):
            taken = self.state.taken[member] + 1 + np.arange(len(rates))
            first, second = (-np.expm1(taken * math.log(beta)) for beta in _BETAS)
            sizes[: len(rates), number, 0] = rates / first
            over_roots[: len(rates), number, 0] = 1.0 / np.sqrt(second)
        dtype = self.state.parameters.dtype
        return self._on_device(sizes.astype(dtype)), self._on_device(over_roots.astype(dtype))

    def _on_device(self, array: npt.NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(array).to(self.placement.device)


def _fill(flow: StackedFlow, data: Sequence[_Data], events: Sequence[Tensor]) -> _Batch:
    """Hand the events of each member to the flows; room that is left gets weight zero."""
    weights = flow.x.new_zeros((flow.x.shape[0], flow.x.shape[2]))
    context = flow.context.shape[1]
    for member, ((z, own), rows) in enumerate(zip(data, events, strict=True)):
        columns = z.index_select(0, rows).T
        n = len(rows)
        for room, values in ((flow.context, columns[:context]), (flow.x, columns[context:])):
            room[member, :, :n] = values
            if n < room.shape[2]:  # an event again, for it is sure to be finite
                room[member, :, n:] = values[:, :1]
        weights[member, :n] = own.index_select(0, rows)
    counts = torch.tensor([[len(rows)] for rows in events], dtype=weights.dtype)
    return _Batch(weights, counts.to(weights.device))
