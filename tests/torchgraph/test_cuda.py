"""On a GPU: the same numbers, the same bits where bits are promised, and no waiting for the device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from quantlab import affine
from quantlab.affine import SMALLEST_SCALE, Range, encoding_from_range
from quantlab.graph.model import Model
from quantlab.scheme import Scheme
from quantlab.torchgraph.fake_quantize import Grid, fake_quantize
from quantlab.torchgraph.module import GraphModule
from quantlab.torchgraph.write_back import write_back
from tests.graph.models import parsed, random_feeds
from tests.models import noise
from tests.patterns import PATTERNS
from tests.torchgraph.quantized import FEEDS, two_convs_qdq

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype"),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]

# Without TF32 both sum float32, in an order of their own.
TOLERANCE = 1e-5


@pytest.fixture(autouse=True)
def _without_tf32() -> Iterator[None]:
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


@contextmanager
def waiting_is_an_error() -> Iterator[None]:
    try:
        torch.cuda.set_sync_debug_mode("error")
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def run_on_both(model: Model) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    feeds = {name: torch.from_numpy(array) for name, array in random_feeds(model).items()}
    on_gpu = {name: tensor.cuda() for name, tensor in feeds.items()}
    module = GraphModule(model).cuda()
    module(on_gpu)  # what is computed once is computed now
    with waiting_is_an_error():
        got = module(on_gpu)
    return got, GraphModule(model)(feeds)


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_computes_the_same_without_waiting(name: str) -> None:
    got, wanted = run_on_both(PATTERNS[name]())
    for output, tensor in wanted.items():
        assert got[output].is_cuda
        limit = TOLERANCE * float(tensor.detach().abs().max())
        np.testing.assert_allclose(got[output].detach().cpu().numpy(), tensor.detach().numpy(), rtol=0, atol=limit)


def test_shapes_that_are_computed_stay_on_the_cpu_and_masks_made_of_them_move() -> None:
    model = parsed(
        """g (float[N, C, H, W] x) => (float[N, C, M] y, int64[4] sizes) {
            sizes = Shape(x) n = Gather(sizes, zero) c = Gather(sizes, one)
            h = Gather(sizes, two) w = Gather(sizes, three) m = Mul(h, w)
            n1 = Unsqueeze(n, axes) c1 = Unsqueeze(c, axes) m1 = Unsqueeze(m, axes)
            target = Concat<axis=0>(n1, c1, m1) flat = Reshape(x, target)
            places = Range(zero, m, one) half = Div(m, two) front = Less(places, half)
            empty = ConstantOfShape<value = float[1] {0}>(m1) masked = Where(front, flat, empty)
            parts = Cast<to=1>(m) y = Div(masked, parts) }""",
        zero=np.asarray(0),
        one=np.asarray(1),
        two=np.asarray(2),
        three=np.asarray(3),
        axes=np.asarray([0]),
    )
    got, wanted = run_on_both(model)
    assert torch.equal(got["y"].cpu(), wanted["y"])
    assert not got["sizes"].is_cuda


@pytest.mark.parametrize("scheme", [Scheme("int8"), Scheme("uint8", symmetric=False)], ids=str)
def test_fake_quantization_equals_the_reference_bit_for_bit(scheme: Scheme) -> None:
    random = np.random.default_rng(0)
    for limit in 10.0 ** random.uniform(-30, 30, 10):
        encoding = encoding_from_range(Range.of(-0.7 * limit, limit), scheme)
        values = (random.normal(size=1_000_000) * limit).astype(np.float32)
        with np.errstate(over="ignore"):
            ties = (random.integers(-300, 300, 1_000_000).astype(np.float32) + np.float32(0.5)) * encoding.scale
        tensor = np.concatenate([values, ties, np.nextafter(ties, np.float32(0))])
        got = fake_quantize(
            torch.from_numpy(tensor).cuda(),
            torch.from_numpy(encoding.scale).cuda(),
            torch.from_numpy(encoding.zero_point).cuda(),
            Grid(scheme.lowest, scheme.highest),
        )
        assert got.cpu().numpy().tobytes() == affine.fake_quantize(tensor, encoding).tobytes()


@pytest.mark.parametrize("zero_point", [None, 0, 7])
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_the_kernels_of_a_gpu_give_the_gradients_of_the_cpu(axis: int | None, zero_point: int | None) -> None:
    x = noise(8, 6, 5, 7, seed=1)
    channels = 1 if axis is None else x.shape[axis]
    scale = np.abs(noise(channels, seed=2)) / 64 + 0.004
    zero = None if zero_point is None else torch.full((channels,), zero_point, dtype=torch.uint8)
    grid = Grid(-128, 127, axis) if zero_point is None else Grid(0, 255, axis)
    tensors = (torch.from_numpy(x), torch.from_numpy(scale), zero)
    found = [_gradients(tensors, grid, device) for device in ("cpu", "cuda")]
    (value, by_x, by_scale), (value_there, by_x_there, by_scale_there) = found
    assert torch.equal(value, value_there)
    assert torch.equal(by_x, by_x_there)
    # The same addends in another order: float32 sums of at most 1,680.
    torch.testing.assert_close(by_scale_there, by_scale, rtol=1e-5, atol=1e-5)


def _gradients(
    tensors: tuple[torch.Tensor, torch.Tensor, torch.Tensor | None], grid: Grid, device: str
) -> tuple[torch.Tensor, ...]:
    x, scale, zero = tensors
    values = x.to(device).transpose(0, -1).contiguous().transpose(0, -1).requires_grad_()  # laid out across
    step = (scale if grid.axis is not None else scale[0]).detach().to(device, copy=True).requires_grad_()
    result = fake_quantize(values, step, None if zero is None else zero.reshape(step.shape).to(device), grid)
    result.square().sum().backward()
    assert values.grad is not None
    assert step.grad is not None
    return result.detach().cpu(), values.grad.cpu(), step.grad.cpu()


def test_a_vector_with_a_scale_for_each_element_learns_each_on_a_gpu() -> None:
    tensors = (torch.tensor([0.3, 0.7, 9.0]), torch.tensor([0.1, 0.2, 0.01]), None)
    here, there = (_gradients(tensors, Grid(-128, 127, 0), device) for device in ("cpu", "cuda"))
    torch.testing.assert_close(there[2], here[2], rtol=1e-6, atol=0)


def test_a_scale_that_learns_counts_as_no_less_than_the_smallest_on_a_gpu() -> None:
    scale = torch.tensor(-1.0, device="cuda", requires_grad=True)
    values = torch.tensor([0.0, 1.0], device="cuda")
    got = fake_quantize(values, scale, None, Grid(-128, 127))
    assert got.tolist() == [0.0, np.float32(127 * SMALLEST_SCALE)]


def test_values_that_are_not_numbers_stay_so_on_a_gpu() -> None:
    values = torch.tensor([float("nan"), float("inf"), -float("inf"), -0.0], device="cuda")
    got = fake_quantize(values, torch.tensor(0.5, device="cuda"), None, Grid(-128, 127))
    assert got[0].isnan()
    assert got[1:].tolist() == [63.5, -64.0, 0.0]


def test_a_quantized_model_trains_and_is_written_back() -> None:
    model, _, _ = two_convs_qdq()
    module = GraphModule(model, learn_scales=True).cuda()
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-5)
    image = torch.from_numpy(FEEDS["image"]).cuda()
    module(image)
    with waiting_is_an_error():
        module(image)["scores"].square().mean().backward()
        optimizer.step()
        module.keep_scales_positive()
    written = write_back(module, model)
    for name, parameter in module.parameters_by_name.items():
        assert np.array_equal(written.constant(name), parameter.detach().cpu().numpy())
        assert not np.array_equal(written.constant(name), model.constant(name))


def test_a_product_trains_in_mixed_precision() -> None:
    model = parsed(
        """g (float[N, 64] x) => (float[N, 64] y) {
            q = QuantizeLinear(w, s, z) d = DequantizeLinear(q, s, z) a = MatMul(x, d) y = Relu(a) }""",
        w=noise(64, 64),
        s=np.asarray(0.02, np.float32),
        z=np.asarray(0, np.int8),
    )
    module = GraphModule(model, learn_scales=True).cuda()
    with torch.autocast("cuda", dtype=torch.bfloat16):
        result = module(torch.randn(8, 64, device="cuda"))["y"]
    result.float().sum().backward()
    assert result.dtype == torch.bfloat16
    assert all(parameter.grad is not None for parameter in module.parameters())
