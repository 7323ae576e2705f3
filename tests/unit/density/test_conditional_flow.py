"""Conditional flows: against plain nflows, normalised at every context, rebuilt bit by bit."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from nflows.transforms.autoregressive import MaskedPiecewiseRationalQuadraticAutoregressiveTransform
from scipy import stats

from conditional_analytic import ConditionalBlend
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, SupportError
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.density.adapters import adapt
from verisimile.density.check import check_conditional
from verisimile.density.flows.fast import FastFlow
from verisimile.density.flows.nflows import Architecture, build, export
from verisimile.density.flows.spline import ConditionalSplineFlow
from verisimile.density.flows.trainer import SplineFlowTrainer
from verisimile.density.protocol import AtContext, ConditionalDensity, NamedConditional
from verisimile.density.registry import pack, unpack, unpack_any
from verisimile.density.torch_scope import seed_scope
from verisimile.mixture.sampling import conditional_log_densities

SHAPES = [
    Architecture(
        d, layers=3, blocks=2, hidden=24, bins=6, tail_bound=4.0, residual=residual, context=c
    )
    for d, c, residual in [(1, 1, False), (1, 3, True), (2, 1, False), (3, 2, True), (4, 1, False)]
]
FEATURES = (Feature("a", low=0.0), Feature("c", low=-2.0, high=2.0), Feature("b"))
CONTEXTS = np.array([[-1.8], [0.3], [1.9]])


def noisy_stack(shape: Architecture, seeds: Seeds) -> torch.nn.Module:
    with seed_scope(seeds):
        stack = build(shape)
        generator = torch.Generator().manual_seed(1)
        for parameter in stack.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data = (parameter.data + 0.1 * noise).float()
    return stack.double().requires_grad_(False)


def stock(shape: Architecture, stack: torch.nn.Module, rows: torch.Tensor) -> torch.Tensor:
    """Return outputs and log-determinant ``(n, d + 1)`` by plain nflows layers.

    The context goes in front of the features, unchanged from layer to layer;
    of what a plain layer does to these columns nothing is kept.
    """
    states = [m.state_dict() for m in stack.modules() if hasattr(m, "autoregressive_net")]
    context, x = rows[:, : shape.context], rows[:, shape.context :]
    total = torch.zeros(len(rows), dtype=torch.float64)
    for number, state in enumerate(states):
        with seed_scope(Seeds(0)):
            layer = MaskedPiecewiseRationalQuadraticAutoregressiveTransform(
                shape.columns,
                shape.hidden,
                num_bins=shape.bins,
                tails="linear",
                tail_bound=shape.tail_bound,
                num_blocks=shape.blocks,
                use_residual_blocks=shape.residual,
            ).double()
        layer.load_state_dict(state)
        joint = torch.cat([context, x.flip(1) if number else x], dim=1)
        raw = layer.autoregressive_net(joint)
        outputs, _ = layer._elementwise_forward(joint, raw)
        splines = raw.view(len(rows), shape.columns, -1)[:, shape.context :]
        _, log_det = layer._elementwise_forward(
            joint[:, shape.context :], splines.reshape(len(rows), -1)
        )
        x, total = outputs[:, shape.context :], total + log_det
    return torch.cat([x, total[:, None]], dim=1)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_fast_path_equals_nflows_inside_the_box(shape: Architecture, seeds: Seeds) -> None:
    stack = noisy_stack(shape, seeds)
    rows = torch.from_numpy(seeds.numpy().uniform(-4, 4, size=(300, shape.columns)))
    with torch.no_grad():
        expected = stock(shape, stack, rows)
    u, total = FastFlow(shape, export(stack), torch.float64).forward(rows.T.contiguous())
    torch.testing.assert_close(u.T, expected[:, :-1], rtol=0, atol=1e-10)
    torch.testing.assert_close(total, expected[:, -1], rtol=0, atol=1e-10)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_training_module_equals_fast_path_everywhere(shape: Architecture, seeds: Seeds) -> None:
    stack = noisy_stack(shape, seeds)
    rows = torch.from_numpy(seeds.numpy().standard_cauchy(size=(500, shape.columns)))
    expected, log_det = stack(rows)
    u, total = FastFlow(shape, export(stack), torch.float64).forward(rows.T.contiguous())
    torch.testing.assert_close(u.T, expected, rtol=1e-12, atol=1e-10)
    torch.testing.assert_close(total, log_det, rtol=0, atol=1e-10)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_inverse_undoes_forward_at_the_same_context(shape: Architecture, seeds: Seeds) -> None:
    flow = FastFlow(shape, export(noisy_stack(shape, seeds)), torch.float64)
    rows = torch.from_numpy(seeds.numpy().normal(scale=2.0, size=(shape.columns, 2000)))
    context = rows[: shape.context]
    again = flow.inverse(torch.cat([context, flow.forward(rows)[0]]))
    torch.testing.assert_close(again, rows[shape.context :], rtol=0, atol=1e-7)


def test_every_feature_sees_every_context(seeds: Seeds) -> None:
    shape = SHAPES[3]
    flow = FastFlow(shape, export(noisy_stack(shape, seeds)), torch.float64)
    rows = torch.from_numpy(seeds.numpy().uniform(-1, 1, size=(shape.columns, 50)))
    before = flow.forward(rows)[0]
    for column in range(shape.context):
        moved = rows.clone()
        moved[column] += 0.5
        assert ((flow.forward(moved)[0] - before).abs().amax(dim=1) > 1e-6).all()


def sample(n: int, rng: np.random.Generator) -> Events:
    c = rng.uniform(-2.0, 2.0, n)
    a = np.exp(0.4 * c + 0.5 * rng.standard_normal(n))
    b = c + 0.5 * np.log(a) + rng.standard_normal(n)
    return Events(np.column_stack([a, c, b]), features=FEATURES)


@pytest.fixture(scope="module")
def flow() -> NamedConditional:
    trainer = SplineFlowTrainer(layers=2, hidden=16, epochs=6).given("c")
    training, validation = sample(6000, np.random.default_rng(5)).split((0.8, 0.2), Seeds(1))
    return trainer.fit(training, validation, Seeds(2)).model


def test_knows_its_columns_by_name(flow: NamedConditional) -> None:
    assert isinstance(flow, ConditionalDensity)
    assert (flow.names, flow.context_names) == (("a", "b"), ("c",))
    assert (flow.n_features, flow.n_context) == (2, 1)
    assert flow.context_range[0, 0] == pytest.approx(-2.0, abs=0.01)


@pytest.mark.parametrize("context", CONTEXTS[:, 0])
def test_integrates_to_one_over_x(flow: NamedConditional, context: float) -> None:
    # Trapezoidal rule in log a and b, with the Jacobian a.
    log_a, b = np.meshgrid(np.linspace(-7, 7, 401), np.linspace(-14, 14, 401), indexing="ij")
    x = np.column_stack([np.exp(log_a.ravel()), b.ravel()])
    density = np.exp(flow.log_prob(x, np.full((len(x), 1), context))) * x[:, 0]
    assert density.sum() * (14 / 400) * (28 / 400) == pytest.approx(1.0, abs=5e-3)


def test_learns_how_the_density_moves(flow: NamedConditional, rng: np.random.Generator) -> None:
    # log a | c ~ N(0.4 c, 0.5): wrong by 0.4 * 3.6 = 1.44 if the context were not seen.
    means = [
        np.log(flow.sample(np.full((4000, 1), c), rng)[:, 0]).mean() for c in CONTEXTS[[0, 2], 0]
    ]
    assert means[1] - means[0] == pytest.approx(0.4 * 3.7, abs=0.25)


def test_shuffled_rows_give_shuffled_densities(
    flow: NamedConditional, rng: np.random.Generator
) -> None:
    c = rng.uniform(-2, 2, (200, 1))
    x = flow.sample(c, rng)
    order = rng.permutation(200)
    np.testing.assert_allclose(
        flow.log_prob(x, c)[order], flow.log_prob(x[order], c[order]), rtol=0, atol=1e-5
    )


def test_outside_the_support_of_x_is_minus_infinity(flow: NamedConditional) -> None:
    assert flow.log_prob(np.array([[-1.0, 0.0]]), np.array([[0.0]]))[0] == -np.inf


def test_impossible_contexts_are_refused(flow: NamedConditional, rng: np.random.Generator) -> None:
    with pytest.raises(SupportError, match="context"):
        flow.log_prob(np.ones((1, 2)), np.array([[2.5]]))
    with pytest.raises(SupportError, match="context"):
        flow.sample(np.array([[-3.0]]), rng)


@pytest.mark.parametrize(
    ("x", "context"),
    [
        (np.ones((2, 2)), np.zeros((3, 1))),
        (np.ones((2, 1)), np.zeros((2, 1))),
        (np.ones((2, 2)), np.zeros((2, 2))),
        (np.ones((1, 2)), np.array([[np.nan]])),
    ],
)
def test_arguments_that_do_not_belong_together(
    flow: NamedConditional, x: Array, context: Array
) -> None:
    with pytest.raises(InputError):
        flow.log_prob(x, context)


def test_stored_and_pickled_bit_by_bit(flow: NamedConditional, rng: np.random.Generator) -> None:
    context = rng.uniform(-2, 2, (100, 1))
    x = flow.sample(context, rng)
    payload = pack(flow)
    again = unpack_any(payload.meta, payload.arrays)
    assert isinstance(again, ConditionalSplineFlow)
    carried = pickle.loads(pickle.dumps(flow))
    for copy in (again, carried):
        np.testing.assert_array_equal(copy.log_prob(x, context), flow.log_prob(x, context))
        np.testing.assert_array_equal(copy.context_range, flow.context_range)
    with pytest.raises(InputError, match="conditional"):
        unpack(payload.meta, payload.arrays)


def test_float32_is_close_to_its_reference(
    flow: NamedConditional, rng: np.random.Generator
) -> None:
    assert isinstance(flow, ConditionalSplineFlow)
    context = rng.uniform(-2, 2, (500, 1))
    x = flow.sample(context, rng)
    gap = np.abs(flow.log_prob(x, context) - flow.reference().log_prob(x, context))
    assert gap.max() < 1e-3


def test_without_context_the_stored_shape_is_as_before() -> None:
    assert "context" not in Architecture(2, 1, 1, 8, 4, 3.0, residual=False).config()
    assert "context" not in SplineFlowTrainer().config()


@pytest.mark.parametrize("context", [(), ("c", "c")])
def test_impossible_context_names(context: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="context"):
        SplineFlowTrainer().given(*context)


@pytest.mark.parametrize("context", [("a", "b", "c"), ("d",)])
def test_context_must_be_some_of_the_columns(
    context: tuple[str, ...], rng: np.random.Generator
) -> None:
    with pytest.raises(InputError, match="context"):
        SplineFlowTrainer().given(*context).check(sample(100, rng))


def test_a_conditional_density_is_no_density() -> None:
    with pytest.raises(InputError, match="AtContext"):
        adapt(ConditionalBlend())


def test_fixed_context_makes_it_one(seeds: Seeds) -> None:
    blend = ConditionalBlend(share=0.3, place=1.0)
    at = adapt(AtContext(blend, np.array([0.7])))
    x = at.sample(4000, seeds.numpy())
    assert stats.kstest(x[:, 0], lambda v: blend.cdf(v, 0.7)).pvalue > 1e-6
    expected = conditional_log_densities([blend], x, np.full((4000, 1), 0.7))
    np.testing.assert_array_equal(at.log_prob(x), expected[:, 0])


def test_a_wrong_normalisation_at_one_context_is_found(seeds: Seeds) -> None:
    class Wrong(ConditionalBlend):
        def log_prob(self, x: Array, context: Array) -> Array:
            return super().log_prob(x, context) + 0.2 * (context[:, 0] > 0)

    good, bad = check_conditional(Wrong(), [[-1.0], [1.0]], seeds=seeds)
    assert good.problems == ()
    assert bad.problems
