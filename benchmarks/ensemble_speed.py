"""Training, evaluation and sampling of spline flows: engines, nflows and zuko, in CPU seconds.

    python benchmarks/ensemble_speed.py [--device cuda]

One thread, one process, all candidates in turn, medians of the rounds; ratios are to "loop", the
modules of nflows trained one by one with automatic derivatives.  Members have 4 layers of
2 x 64 units, 8 bins and 4 features.  A step takes 512 events; a member-epoch is one of
40 000 events.  Products are counted without what masks leave out, in the share of the rate of
sgemm, 1024 x 1024, of the same process.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from nflows.transforms.autoregressive import MaskedPiecewiseRationalQuadraticAutoregressiveTransform
from nflows.transforms.base import CompositeTransform
from nflows.transforms.permutations import ReversePermutation

from verisimile.core.arrays import Array, IntArray
from verisimile.core.random import Seeds
from verisimile.density.flows.compiled import CompiledEpochs, CompiledFlow, compiles
from verisimile.density.flows.epochs import AdamState, Epochs
from verisimile.density.flows.fast import FastFlow
from verisimile.density.flows.nflows import Architecture, build, export
from verisimile.density.flows.packed import PackedLayout
from verisimile.density.flows.stacked import StackedEpochs
from verisimile.density.torch_scope import CPU, Placement, seed_scope
from verisimile.density.training import CoordinateSample, Student

SHAPE = Architecture(4, layers=4, blocks=2, hidden=64, bins=8, tail_bound=5.0, residual=False)
EVENTS, BATCH, STEPS, ROUNDS = 40_000, 512, 10, 7
CLIP, RATE = 5.0, 5e-3
Module = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def events(n: int, seed: int) -> Array:
    """Return events ``(n, 4)`` on a bent sheet with two modes, about standardised."""
    rng = np.random.default_rng(seed)
    u = rng.normal(size=(n, 4))
    side = np.where(rng.random(n) < 0.3, 1.5, -0.6)
    x = 0.6 * u[:, 0] + side
    y = 0.5 * (x**2 - 1.0) + 0.4 * u[:, 1]
    return np.stack([x, y, np.sin(2 * x) + 0.3 * u[:, 2], 0.7 * y * u[:, 3]], axis=1)


def student(number: int, n: int) -> Student:
    """Return what a member learns from."""
    z, held_out = events(n, 2 * number), events(n // 4, 2 * number + 1)
    training, validation = (
        CoordinateSample.of(each, np.zeros(len(each)), None) for each in (z, held_out)
    )
    return Student(training, validation, Seeds(number))


def stock(shape: Architecture) -> torch.nn.Module:
    """Return nflows' own modules."""
    modules: list[torch.nn.Module] = []
    for layer in range(shape.layers):
        if layer:
            modules.append(ReversePermutation(shape.features))
        modules.append(
            MaskedPiecewiseRationalQuadraticAutoregressiveTransform(
                shape.features,
                shape.hidden,
                num_bins=shape.bins,
                tails="linear",
                tail_bound=shape.tail_bound,
                num_blocks=shape.blocks,
                use_residual_blocks=shape.residual,
            )
        )
    return CompositeTransform(modules)


def residual() -> torch.nn.Module:
    """Return nflows' own modules at its default conditioner."""
    return stock(replace(SHAPE, residual=True))


class Zuko(torch.nn.Module):
    """A neural spline flow of zuko, hidden maps as many as ours."""

    def __init__(self) -> None:
        super().__init__()
        import zuko  # noqa: PLC0415  (a peer)

        self.flow = zuko.flows.NSF(
            SHAPE.features, transforms=SHAPE.layers, bins=SHAPE.bins, hidden_features=[64, 64, 64]
        )

    def forward(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return base variables and log-determinants."""
        return self.flow().transform.call_and_ladj(z)

    def inverse(self, u: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Return events."""
        return self.flow().transform.inv(u), None


class Looped:
    """Modules trained one by one by torch's own Adam on automatic derivatives (`Epochs`)."""

    def __init__(self, modules: Sequence[torch.nn.Module], students: Sequence[Student]) -> None:
        self.modules, self.students = modules, students
        self.adams = [torch.optim.Adam(m.parameters(), lr=RATE, fused=True) for m in modules]

    def epoch(
        self, members: Sequence[int], orders: Sequence[IntArray], rates: Sequence[Array]
    ) -> Array:
        """Train some of the members."""
        for member, order, steps in zip(members, orders, rates, strict=True):
            module, adam = self.modules[member], self.adams[member]
            z, weights, _ = self.students[member].training
            for rows, rate in zip(torch.from_numpy(order).split(BATCH), steps, strict=True):
                adam.zero_grad(set_to_none=True)
                (weights[rows] * _losses(module, z[rows])).mean().backward()
                torch.nn.utils.clip_grad_norm_(module.parameters(), CLIP)
                adam.param_groups[0]["lr"] = float(rate)
                adam.step()
        return np.zeros(len(members))

    def losses(self, members: Sequence[int]) -> Array:
        """Return the members' mean losses on validation events."""
        with torch.no_grad():
            return np.array(
                [
                    float(_losses(self.modules[k], self.students[k].validation.z).double().mean())
                    for k in members
                ]
            )


def _losses(module: Module, z: torch.Tensor) -> torch.Tensor:
    u, log_det = module(z)
    return 0.5 * (u * u).sum(dim=1) - log_det + 0.5 * u.shape[1] * math.log(2 * math.pi)


def modules(make: Callable[[], torch.nn.Module], count: int) -> list[torch.nn.Module]:
    """Return fresh modules."""
    found = []
    for number in range(count):
        with seed_scope(Seeds(number)):
            found.append(make())
    return found


def packed(kind: type[StackedEpochs | CompiledEpochs], students: Sequence[Student]) -> Epochs:
    """Return an engine on packed parameters."""
    layout = PackedLayout(SHAPE)
    fresh = modules(lambda: build(SHAPE), len(students))
    state = AdamState.fresh(np.stack([layout.pack(export(each)) for each in fresh]))
    return kind(layout, state, students, [BATCH] * len(students), CLIP)


def looped(make: Callable[[], torch.nn.Module], students: Sequence[Student]) -> Epochs:
    """Return a loop over modules."""
    return Looped(modules(make, len(students)), students)  # type: ignore[return-value]


@dataclass(frozen=True)
class Candidate:
    """Something that trains `members` flows."""

    name: str
    start: Callable[[Sequence[Student]], Epochs]
    members: int = 1


def candidates() -> Iterator[Candidate]:
    """Yield what is compared, the reference first."""
    yield Candidate("loop (automatic derivatives)", lambda s: looped(lambda: build(SHAPE), s))
    yield Candidate("nflows, feed-forward", lambda s: looped(lambda: stock(SHAPE), s))
    yield Candidate("nflows, residual (its default)", lambda s: looped(residual, s))
    yield Candidate("zuko", lambda s: looped(Zuko, s))
    for members in (1, 4, 16):
        yield Candidate("stacked, plain torch", lambda s: packed(StackedEpochs, s), members)
    if compiles(SHAPE):
        for members in (1, 4, 16):
            yield Candidate("compiled", lambda s: packed(CompiledEpochs, s), members)


def seconds(call: Callable[[], object]) -> float:
    """Return the CPU seconds of a call."""
    started = time.process_time()
    call()
    return time.process_time() - started


def in_turn(calls: Sequence[Callable[[], object]], rounds: int = ROUNDS) -> Array:
    """Return the median CPU seconds of each call, made in turn after a first time."""
    for call in calls:
        call()
    return np.median([[seconds(call) for call in calls] for _ in range(rounds)], axis=0)


def sgemm_rate() -> float:
    """Return Gflop/s of a large product."""
    left, right = torch.randn(2, 1024, 1024, generator=torch.Generator().manual_seed(1))
    (spent,) = in_turn([lambda: left @ right])
    return 2.0 * 1024**3 / spent / 1e9


def training() -> None:
    """Print the speed of a step."""
    found, students = list(candidates()), [student(k, STEPS * BATCH) for k in range(16)]
    order, rates = np.random.default_rng(1).permutation(STEPS * BATCH), np.full(STEPS, RATE)

    def run(each: Candidate) -> Callable[[], object]:
        epochs, m = each.start(students[: each.members]), each.members
        return lambda: epochs.epoch(range(m), [order] * m, [rates] * m)

    spent = in_turn([run(each) for each in found])
    steps = spent / [STEPS * each.members for each in found]
    weights = int(PackedLayout(SHAPE).mask.sum())
    flops, peak = 6.0 * weights * BATCH, sgemm_rate()
    print(f"Training, {BATCH} events a step; sgemm {peak:.0f} Gflop/s")
    head = ("", "M", "ms/step", "epochs/s", "ratio", "of sgemm")
    print(f"{head[0]:34s}{head[1]:>4s}{head[2]:>10s}{head[3]:>10s}{head[4]:>8s}{head[5]:>10s}")
    for each, step in zip(found, steps, strict=True):
        print(
            f"{each.name:34s}{each.members:4d}{1e3 * step:10.2f}"
            f"{BATCH / (step * EVENTS):10.2f}{steps[0] / step:8.2f}"
            f"{flops / step / peak / 1e9:10.0%}"
        )


def reached(epochs: Epochs, n: int, count: int, target: float) -> tuple[float, float]:
    """Return CPU seconds until the validation loss is at most `target`, and the least loss."""
    rng, spent, least, when = np.random.default_rng(3), 0.0, math.inf, math.inf
    steps = -(-n // BATCH)
    for epoch in range(count):
        taken = np.arange(epoch * steps, (epoch + 1) * steps)
        rates = RATE * 0.5 * (1.0 + np.cos(np.pi * taken / (count * steps)))
        order = rng.permutation(n)
        spent += seconds(lambda o=order, r=rates: epochs.epoch([0], [o], [r]))
        loss = float(epochs.losses([0])[0])
        if loss <= target and math.isinf(when):
            when = spent
        least = min(least, loss)
    return when, least


def to_one_loss(n: int = 20_000, count: int = 8) -> None:
    """Print CPU seconds of training to a fixed validation loss."""
    pupil, found = student(0, n), [each for each in candidates() if each.members == 1]
    _, best = reached(found[0].start([pupil]), n, count, -math.inf)
    target = best + 0.005
    print(f"\nCPU seconds to a mean validation loss of {target:.4f}, {n} events, {count} epochs")
    print(f"{'':34s}{'seconds':>10s}{'ratio':>8s}{'least loss':>12s}")
    first = math.nan
    for each in found:
        when, least = reached(each.start([pupil]), n, count, target)
        first = when if math.isnan(first) else first
        row = f"{when:10.3f}{first / when:8.2f}" if when < math.inf else f"{'never':>10s}{'':8s}"
        print(f"{each.name:34s}{row}{least:12.4f}")


def evaluation(n: int = 20_000, draws: int = 4_000) -> None:
    """Print the time of an event's log-density, and of a draw, of one member."""
    (member,) = modules(lambda: build(SHAPE), 1)
    pupil = student(0, 5_000)
    looped(lambda: member, [pupil]).epoch([0], [np.arange(5_000)], [np.full(10, RATE)])
    arrays = export(member)
    fast = FastFlow(SHAPE, arrays, torch.float32)
    z, u = events(n, 5), np.random.default_rng(6).normal(size=(draws, 4))
    calls = [("FastFlow, plain torch", lambda: fast.log_base(z), lambda: fast.from_base(u))]
    if compiles(SHAPE):
        flow = CompiledFlow(SHAPE, arrays, np.float32)
        calls.append(("compiled", lambda: flow.log_base(z), lambda: flow.from_base(u)))
    for name, make in (
        ("nflows, feed-forward", lambda: stock(SHAPE)),
        ("nflows, residual (its default)", residual),
        ("zuko", Zuko),
    ):
        (peer,) = modules(make, 1)
        calls.append((name, _forward(peer, z), _inverse(peer, u)))
    spent = in_turn([call for _, density, draw in calls for call in (density, draw)])
    density, draw = 1e6 * spent.reshape(-1, 2).T / [[n], [draws]]
    print(f"\nEvaluation of one member; 100 000 events x 16 members are {16 * 0.1:.1f} s per us")
    head = ("", "us/event", "ratio", "us/draw", "ratio")
    print(f"{head[0]:34s}{head[1]:>10s}{head[2]:>8s}{head[3]:>10s}{head[4]:>8s}")
    for number, (name, _, _) in enumerate(calls):
        print(
            f"{name:34s}{density[number]:10.2f}{density[0] / density[number]:8.2f}"
            f"{draw[number]:10.2f}{draw[0] / draw[number]:8.2f}"
        )


def _forward(module: Module, z: Array) -> Callable[[], object]:
    rows = torch.from_numpy(z.astype(np.float32))

    def call() -> None:
        with torch.no_grad():
            for some in rows.split(4096):
                _losses(module, some)

    return call


def _inverse(module: torch.nn.Module, u: Array) -> Callable[[], object]:
    rows = torch.from_numpy(u.astype(np.float32))

    def call() -> None:
        with torch.no_grad():
            for some in rows.split(4096):
                module.inverse(some)  # type: ignore[operator]

    return call


def on_device(device: str) -> None:
    """Print the wall time of stacked steps on a device beside one thread of the CPU."""
    if not torch.cuda.is_available():
        print(f"not run: no {device} device")
        return
    print(f"stacked steps on {torch.cuda.get_device_name()}, milliseconds of wall time")
    print(f"{'members':>8} {'per step':>9} {'per member':>11} {'one CPU thread':>15} {'ratio':>6}")
    for count in (1, 4, 16, 64):
        times = []
        for placement in (Placement(device), CPU):
            students = [student(m, BATCH * STEPS) for m in range(count)]
            starts = np.stack([PackedLayout(SHAPE).pack(export(m)) for m in _starts(count)])
            state = AdamState.fresh(starts)
            job = StackedEpochs(
                PackedLayout(SHAPE), state, students, [BATCH] * count, CLIP, placement
            )
            rates = [np.full(STEPS, RATE)] * count
            orders = [np.arange(BATCH * STEPS)] * count
            job.epoch(range(count), orders, rates)
            rounds = []
            for _ in range(ROUNDS):
                started = time.perf_counter()
                job.epoch(range(count), orders, rates)
                rounds.append((time.perf_counter() - started) / STEPS * 1e3)
            times.append(float(np.median(rounds)))
        there, here = times
        print(f"{count:8} {there:9.2f} {there / count:11.2f} {here:15.2f} {here / there:6.1f}")


def _starts(count: int) -> list[torch.nn.Module]:
    return modules(lambda: build(SHAPE), count)


def main() -> None:
    """Print three tables, or that of another device."""
    warnings.simplefilter("ignore")  # of the peers
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu", help="cuda: stacked training there")
    device = parser.parse_args().device
    if device != "cpu":
        on_device(device)
        return
    training()
    to_one_loss()
    evaluation()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
