"""Flows and distributions of torch through `adapt`: precision, streams, supports, refusals."""

from __future__ import annotations

import copy
from collections.abc import Callable
from importlib import import_module

import nflows.flows
import numpy as np
import pytest
import torch
from torch import distributions as dist

from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.density.adapters import adapt
from verisimile.density.check import check_estimator
from verisimile.density.torch_scope import seed_scope

Made = Callable[[], object]
zuko = import_module("zuko.flows")


def _zuko() -> torch.nn.Module:
    flow: torch.nn.Module = zuko.NSF(2, transforms=2, hidden_features=(8,))
    return flow


def _nflows() -> torch.nn.Module:
    """Return a flow with batch statistics: a density only in evaluation mode."""
    flow: torch.nn.Module = nflows.flows.MaskedAutoregressiveFlow(
        2, 8, 2, 1, batch_norm_between_layers=True
    )
    density: Callable[[torch.Tensor], torch.Tensor] = getattr(flow, "log_prob")  # noqa: B009
    for _ in range(50):
        density(torch.randn(100, 2))  # its running means and widths
    return flow


def _normflows() -> torch.nn.Module:
    normflows = pytest.importorskip("normflows")
    steps = [
        normflows.flows.AutoregressiveRationalQuadraticSpline(2, 1, 8),
        normflows.flows.LULinearPermute(2),
    ]
    flow: torch.nn.Module = normflows.NormalizingFlow(
        normflows.distributions.DiagGaussian(2), steps
    )
    return flow


_FLOWS = [_zuko, _nflows, _normflows]


def _normal(dtype: torch.dtype) -> dist.Distribution:
    matrix = torch.tensor([[1.0, 0.5], [0.5, 2.0]], dtype=dtype)
    return dist.MultivariateNormal(torch.zeros(2, dtype=dtype), matrix)


def _made(make: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    with seed_scope(Seeds(3)):
        return make()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("make", _FLOWS)
def test_flows_keep_the_promises_of_a_density(
    make: Callable[[], torch.nn.Module], dtype: torch.dtype
) -> None:
    flow = _made(make).to(dtype)
    state = torch.get_rng_state()
    found = check_estimator(flow, draws=300)
    assert found.problems == ()
    assert found.n_features == 2
    assert torch.equal(torch.get_rng_state(), state)
    assert flow.training


@pytest.mark.parametrize("make", _FLOWS)
def test_precisions_of_a_flow_agree(make: Callable[[], torch.nn.Module]) -> None:
    flow = _made(make)
    single, double = adapt(flow), adapt(copy.deepcopy(flow).double())
    x = double.sample(50, np.random.default_rng(1))
    np.testing.assert_allclose(single.log_prob(x), double.log_prob(x), atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_distributions_keep_the_promises_of_a_density(dtype: torch.dtype) -> None:
    two = torch.tensor(2.0, dtype=dtype)
    for model in [
        _normal(dtype),
        dist.Gamma(two, two),
        dist.LogNormal(two, two / 4),
        dist.Independent(dist.Laplace(torch.zeros(3, dtype=dtype), two), 1),
    ]:
        assert check_estimator(model, draws=300).problems == (), model


def test_outside_its_support_a_distribution_is_zero() -> None:
    model = adapt(dist.Gamma(torch.tensor(2.0), torch.tensor(1.0)))
    values = model.log_prob(np.array([[-1.0], [1.0], [1e300]]))
    np.testing.assert_array_equal(np.isfinite(values), [False, True, False])
    assert values[1] == pytest.approx(-1.0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("make", _FLOWS)
def test_a_flow_on_another_device(make: Callable[[], torch.nn.Module]) -> None:
    flow = _made(make).to("cuda")
    state = torch.cuda.get_rng_state()
    assert check_estimator(flow, draws=300).problems == ()
    assert torch.equal(torch.cuda.get_rng_state(), state)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dist.Normal(torch.zeros(3), torch.ones(3)), r"Independent\(model, 1\)"),
        (lambda: dist.Poisson(torch.tensor(3.0)), "discrete"),
        (lambda: dist.Dirichlet(torch.ones(3)), "2 of 3 dimensions"),
        (lambda: dist.Independent(dist.Normal(torch.zeros(2, 2), 1.0), 2), "shape"),
        (lambda: torch.nn.Linear(2, 2), "torch module"),
        (lambda: zuko.NSF(2, 3, hidden_features=(8,)), r"zuko's flow\(c\)"),
        (lambda: _nflows().to("meta"), "device"),
    ],
)
def test_others_of_torch_are_refused_with_a_remedy(make: Made, message: str) -> None:
    with seed_scope(Seeds(3)):
        model = make()
    with pytest.raises(InputError, match=message):
        adapt(model)


def test_a_flow_at_a_context_is_a_distribution() -> None:
    flow = _made(lambda: zuko.NSF(2, 3, transforms=1, hidden_features=(8,)))
    assert check_estimator(flow(torch.ones(3)), draws=300).problems == ()
