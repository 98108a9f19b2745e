"""Fake quantization is the arithmetic of `affine`, bit for bit, and its gradients are the formulas'."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab import affine
from quantlab.affine import SMALLEST_SCALE, Encoding, Range
from quantlab.scheme import Scheme
from quantlab.torchgraph.fake_quantize import Grid, fake_quantize

pytestmark = pytest.mark.torch

SCHEMES = [
    Scheme("int8"),
    Scheme("int8", narrow=True),
    Scheme("int8", symmetric=False),
    Scheme("uint8", symmetric=False),
]
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def torch_fake_quantize(values: np.ndarray, encoding: Encoding, *, is_weight: bool = False) -> np.ndarray:
    scheme = encoding.scheme
    grid = Grid(scheme.lowest, scheme.highest, scheme.axis, is_weight=is_weight)
    scale, zero_point = torch.from_numpy(encoding.scale), torch.from_numpy(encoding.zero_point)
    result: np.ndarray = fake_quantize(torch.from_numpy(values), scale, zero_point, grid).numpy()
    return result


@given(
    scheme=st.sampled_from(SCHEMES),
    bounds=st.tuples(FLOATS, FLOATS),
    values=st.lists(FLOATS, min_size=1, max_size=20),
    steps=st.lists(st.integers(-300, 300), min_size=1, max_size=20),
)
@settings(max_examples=300, deadline=None)
def test_values_equal_the_reference_bit_for_bit(
    scheme: Scheme, bounds: tuple[float, float], values: list[float], steps: list[int]
) -> None:
    encoding = affine.encoding_from_range(Range.of(min(bounds) / 2, max(bounds) / 2), scheme)
    with np.errstate(over="ignore"):
        ties = (np.asarray(steps, np.float32) + np.float32(0.5)) * encoding.scale
    tensor = np.concatenate([np.asarray(values, np.float32), ties[np.isfinite(ties)], [np.float32(-0.0)]])
    with np.errstate(over="ignore"):
        assert torch_fake_quantize(tensor, encoding).tobytes() == affine.fake_quantize(tensor, encoding).tobytes()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_channels_equal_the_reference_bit_for_bit(axis: int) -> None:
    random = np.random.default_rng(axis)
    values = random.normal(size=(5, 5, 5)).astype(np.float32)
    limit = np.abs(values).max(axis=tuple({0, 1, 2} - {axis})) * 0.7
    encoding = affine.encoding_from_range(Range.of(-limit, limit), Scheme("int8", axis=axis, narrow=True))
    got = torch_fake_quantize(values, encoding, is_weight=True)
    assert got.tobytes() == affine.fake_quantize(values, encoding).tobytes()


def test_the_reference_differs_from_the_fake_quantize_of_torch() -> None:
    # Were they equal, torch's own kernel would do; it multiplies by 1 / scale.
    encoding = affine.encoding_from_range(Range.of(-1.0, 1.0), Scheme("int8"))
    ties = (np.arange(-127, 127, dtype=np.float32) + np.float32(0.5)) * encoding.scale
    own = torch.fake_quantize_per_tensor_affine(torch.from_numpy(ties), float(encoding.scale), 0, -128, 127).numpy()
    assert (own != affine.fake_quantize(ties, encoding)).any()
    assert (torch_fake_quantize(ties, encoding) == affine.fake_quantize(ties, encoding)).all()


X = torch.tensor([-200.0, -128.6, -128.4, -3.25, 0.0, 0.5, 1.7, 126.9, 127.4, 127.6, 500.0]) * 0.1


def test_the_gradient_passes_through_the_rounding_and_stops_at_the_limits() -> None:
    x = X.clone().requires_grad_()
    fake_quantize(x, torch.tensor(0.1), None, Grid(-128, 127)).backward(torch.arange(1.0, 12.0))
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 0.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 0.0, 0.0]


@pytest.mark.parametrize("zero", [0, 5])
def test_the_gradient_of_a_scale_is_that_of_learned_step_sizes(zero: int) -> None:
    scale = torch.tensor(0.1, requires_grad=True)
    upstream = torch.linspace(-1.0, 2.0, 11)
    fake_quantize(X.reshape(1, -1), scale, torch.tensor(zero, dtype=torch.int8), Grid(-128, 127)).backward(
        upstream.reshape(1, -1)
    )
    ratio = X.numpy() / np.float32(0.1)
    steps = np.rint(ratio)
    slope = np.where(
        steps + zero < -128, -128.0 - zero, np.where(steps + zero > 127, 127.0 - zero, steps - ratio.astype(np.float64))
    )
    wanted = float((slope * upstream.numpy()).sum() / np.sqrt(11 * 127))
    assert scale.grad is not None
    # float32 keeps 24 bits of a sum whose terms reach 200.
    assert float(scale.grad) == pytest.approx(wanted, rel=1e-5)


def test_the_gradient_scale_counts_one_sample_of_an_activation_and_all_of_a_weight() -> None:
    x = torch.zeros(4, 3, 2, 2)
    channels, tensor = torch.ones(3), torch.ones(())
    assert Grid(0, 255).gradient_scale(x, tensor) == pytest.approx(1 / np.sqrt(12 * 255))
    assert Grid(-127, 127, axis=1).gradient_scale(x, channels) == pytest.approx(1 / np.sqrt(4 * 127))
    assert Grid(-127, 127, is_weight=True).gradient_scale(x, tensor) == pytest.approx(1 / np.sqrt(48 * 127))
    assert Grid(-127, 127, axis=1, is_weight=True).gradient_scale(x, channels) == pytest.approx(1 / np.sqrt(16 * 127))


def test_each_channel_has_the_gradient_it_would_have_alone() -> None:
    x = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    together = torch.tensor([0.01, 0.02, 0.03], requires_grad=True)
    fake_quantize(x, together, None, Grid(-127, 127, axis=0, is_weight=True)).sum().backward()
    assert together.grad is not None
    for row, scale, gradient in zip(x, together.detach(), together.grad, strict=True):
        alone = scale.clone().requires_grad_()
        fake_quantize(row, alone, None, Grid(-127, 127, is_weight=True)).sum().backward()
        assert alone.grad is not None
        # The order of the sum differs.
        assert float(alone.grad) == pytest.approx(float(gradient), rel=1e-5)


def test_a_scale_that_learns_is_never_below_the_smallest_and_can_grow_back() -> None:
    scale = torch.tensor(-1.0, requires_grad=True)
    result = fake_quantize(torch.tensor([0.0, 1.0]), scale, None, Grid(-128, 127))
    result.sum().backward()
    assert result.tolist() == [0.0, np.float32(127 * SMALLEST_SCALE)]
    assert scale.grad is not None
    assert float(scale.grad) > 0  # a descent on -result would raise the scale


def test_autocast_changes_nothing() -> None:
    x = torch.randn(64, generator=torch.Generator().manual_seed(0))
    scale = torch.tensor(0.013)
    plain = fake_quantize(x, scale, None, Grid(-128, 127))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = fake_quantize(x, scale, None, Grid(-128, 127))
    assert inside.dtype == torch.float32
    assert torch.equal(plain, inside)


def test_a_compiler_sees_nothing_of_it() -> None:
    seen: list[str] = []

    def backend(graph: torch.fx.GraphModule, _: object) -> torch.fx.GraphModule:
        seen.extend(str(node.target) for node in graph.graph.nodes if node.op != "placeholder")
        return graph

    def network(x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = fake_quantize(x.sin(), torch.tensor(0.1), None, Grid(-128, 127)).cos()
        return result

    compiled = torch.compile(network, backend=backend)
    x = torch.linspace(-1.0, 1.0, 9)
    assert torch.equal(compiled(x), network(x))
    assert any("sin" in name for name in seen)
    assert any("cos" in name for name in seen)
    assert not any("div" in name or "round" in name or "clamp" in name for name in seen)
