"""Flows of zuko, nflows and normflows, and ``torch.distributions``.

They draw from torch's global streams, return tensors of their own precision and device, and
behave differently in training (batch statistics, dropout).  Here they draw from a stream of
the generator that they are given, in evaluation mode, and answer in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, require
from verisimile.density.adapters import WRAP, Adapted, CallableDensity, require_full_rank
from verisimile.density.protocol import DensityEstimator
from verisimile.density.torch_scope import borrowed_streams

_CHUNK = 1 << 15  # events of one call: a flow's memory grows with them
_PROBE = 64
_DEVICES = ("cpu", "cuda")


def adapted(model: object) -> DensityEstimator:
    """Return a flow or a distribution as an estimator."""
    source = _source(model)
    d = _columns(source)
    draws = source.sample(max(_PROBE, 2 * d), np.random.default_rng(0))
    require_full_rank(draws, source.title)
    try:
        source.log_prob(draws)
    except Exception as error:
        raise _unusable(source, f"its log_prob fails: {error}") from error
    return Adapted(CallableDensity(d, source.log_prob, source.sample))


@dataclass(frozen=True, slots=True)
class _Source:
    """A model of torch: how it is asked, and where it lives.

    `made` returns what has `log_prob` and `sample`: of zuko, a distribution for each call,
    because its parameters may have changed.
    """

    title: str
    module: torch.nn.Module | None
    made: Callable[[], Any]
    draw: Callable[[Any, int], Tensor]

    def log_prob(self, x: Array) -> Array:
        """Return log-densities ``(n,)`` of events ``(n, d)``."""
        place = self._place()
        with _evaluated(self.module), _precision(place.dtype), torch.no_grad():
            model = self.made()
            parts = [
                _log_prob(model, torch.from_numpy(x[at : at + _CHUNK].copy()), place)
                for at in range(0, len(x), _CHUNK)
            ]
        return np.concatenate(parts)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` events ``(n, d)``."""
        parts = self._parts(n, int(rng.integers(2**63)))
        whole = np.concatenate([part.double().cpu().numpy() for part in parts])
        return whole.reshape(n, -1)

    def check_device(self) -> None:
        """Raise if the model is where torch's streams cannot be put back."""
        value = _value_of(self.module)
        require(
            value is None or value.device.type in _DEVICES,
            "model",
            got=f"a {self.title} on the device {None if value is None else value.device}",
            expected=f"one of the devices {', '.join(_DEVICES)}, whose streams can be put back",
            remedy="Move it: model.to('cpu').",
        )

    def _parts(self, n: int, seed: int) -> list[Tensor]:
        sizes = [min(_CHUNK, n - at) for at in range(0, n, _CHUNK)]
        value = _value_of(self.module)
        dtype = torch.get_default_dtype() if value is None else value.dtype
        with (
            _evaluated(self.module),
            _precision(dtype),
            borrowed_streams(seed),
            torch.no_grad(),
        ):
            model = self.made()
            return [self.draw(model, size) for size in sizes]

    def _place(self) -> Tensor:
        """Return a value of the model's precision on its device: its draws have them too."""
        value = _value_of(self.module)
        return self._parts(1, 0)[0] if value is None else value


def _source(model: object) -> _Source:
    kinds = {(base.__module__.partition(".")[0], base.__name__) for base in type(model).__mro__}
    title = type(model).__name__
    if isinstance(model, Distribution):
        return _Source(title, None, _Same(_continuous(model)), _of_shape)
    module = cast(torch.nn.Module, model)
    if ("zuko", "LazyDistribution") in kinds:
        return _Source(f"zuko {title}", module, module, _of_shape)
    if ("nflows", "Distribution") in kinds:
        return _Source(f"nflows {title}", module, _Same(module), _of_number)
    if ("normflows", "NormalizingFlow") in kinds:
        return _Source(f"normflows {title}", module, _Same(module), _first_of_number)
    raise InputError(
        "model",
        got=f"a torch module of the kind {type(model).__module__}.{title}",
        expected="a flow of zuko, nflows (Flow), or normflows (NormalizingFlow), without context",
        remedy=WRAP,
    )


@dataclass(frozen=True, slots=True)
class _Same:
    model: Any

    def __call__(self) -> Any:  # noqa: ANN401  (a stranger)
        return self.model


def _of_shape(model: Any, n: int) -> Tensor:  # noqa: ANN401  (a stranger)
    return cast(Tensor, model.sample((n,)))


def _of_number(model: Any, n: int) -> Tensor:  # noqa: ANN401  (a stranger)
    return cast(Tensor, model.sample(n))


def _first_of_number(model: Any, n: int) -> Tensor:  # noqa: ANN401  (a stranger)
    return cast(Tensor, model.sample(n)[0])  # with its log-densities


def _continuous(model: Distribution) -> Distribution:
    """Return a distribution that is one, of numbers or vectors, and has a density."""
    title = type(model).__name__
    batch = tuple(model.batch_shape)
    require(
        not batch,
        "model",
        got=f"{title} distributions in a batch of shape {batch}",
        expected="a single distribution, batch_shape ()",
        remedy="Of independent features: torch.distributions.Independent(model, 1).",
    )
    support = _support(model)
    require(
        support is None or not support.is_discrete,
        "model",
        got=f"the discrete {title}",
        expected="a continuous distribution",
    )
    return model


def _support(model: object) -> Any:  # noqa: ANN401  (torch's constraint)
    """Return the support of a distribution, None if it does not know."""
    if not isinstance(model, Distribution):
        return None
    try:
        return model.support
    except NotImplementedError:
        return None


def _columns(source: _Source) -> int:
    """Return d, from a draw."""
    source.check_device()
    try:
        (probe,) = source._parts(2, 0)
    except Exception as error:
        raise _unusable(source, f"its sample fails: {error}") from error
    shape = tuple(probe.shape)
    if len(shape) not in (1, 2) or shape[0] != 2 or not probe.is_floating_point():
        raise _unusable(source, f"two draws have shape {shape} and dtype {probe.dtype}")
    return shape[1] if len(shape) == 2 else 1


def _log_prob(model: Any, x: Tensor, place: Tensor) -> Array:  # noqa: ANN401  (a stranger)
    """Return the log-densities of a chunk of events; minus infinity outside the support."""
    rows = x.to(place)
    known = torch.isfinite(rows).all(dim=1)  # beyond the largest number of the precision
    if isinstance(model, Distribution) and not model.event_shape:
        rows = rows[:, 0]
    support = _support(model)
    if support is not None:
        inside = support.check(torch.nan_to_num(rows))
        known &= inside.reshape(len(inside), -1).all(dim=1)
    out = torch.full((len(rows),), -torch.inf, dtype=torch.float64, device=rows.device)
    if known.any():
        out[known] = model.log_prob(rows[known]).double()
    # Far away squares overflow, and their differences are no numbers: the density is zero there.
    far = x.abs().amax(dim=1).to(place.device) > torch.finfo(place.dtype).max ** 0.25
    out[far & torch.isnan(out)] = -torch.inf
    return out.cpu().numpy()


@contextmanager
def _evaluated(module: torch.nn.Module | None) -> Iterator[None]:
    """Put a module into evaluation mode inside the block."""
    parts = [] if module is None else [part for part in module.modules() if part.training]
    for part in parts:
        part.training = False
    try:
        yield
    finally:
        for part in parts:
            part.training = True


@contextmanager
def _precision(dtype: torch.dtype) -> Iterator[None]:
    """Make the model's precision the default: flows make noise and zeros of the default one."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _value_of(module: torch.nn.Module | None) -> Tensor | None:
    """Return one of a module's parameters or buffers of real numbers, if it has any."""
    values = [] if module is None else [*module.parameters(), *module.buffers()]
    return next((each for each in values if each.is_floating_point()), None)


def _unusable(source: _Source, reason: str) -> InputError:
    return InputError(
        "model",
        got=f"a {source.title} that cannot be asked without a context ({reason})",
        expected="a density of x alone, whose sample has shape (n, d) or (n,)",
        remedy=f"Fix its context: zuko's flow(c) is a distribution. {WRAP}",
    )
