"""What is particular to the torch engine: it counts on the device, computes exactly, and needs torch."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from quantlab.collect import collect
from quantlab.data.arrays import array_source
from quantlab.data.batch import Batches
from quantlab.engines import OnnxRuntime, Torch
from quantlab.engines.torch_device import device_named, numerics
from quantlab.engines.torch_statistics import DeviceCounters, statistics_of_tensor
from quantlab.errors import CalibrationError, DataError, EngineError, EngineMissing, RecipeError
from quantlab.stats.count import TensorCounter, statistics_of
from tests.engines.models import chain, model_from_text
from tests.models import noise, two_convs

pytestmark = pytest.mark.torch

ENGINE = Torch("cpu", threads=1)
TENSORS = ("image", "before", "hidden", "scores")
DEVICES = ("cpu", pytest.param("cuda", marks=pytest.mark.gpu))
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def batches_of(images: np.ndarray, batch_size: int = 4) -> Batches:
    return Batches(array_source({"image": images}, two_convs().inputs), batch_size)


@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0), elements=FLOATS))
def test_a_tensor_has_the_statistics_that_the_counter_gives_its_array(values: np.ndarray):
    assert statistics_of_tensor(torch.from_numpy(values)).same_as(statistics_of(values))


@pytest.mark.parametrize("width", [1e-44, 1e-38, 1e-20, 1.0, 1e30])
def test_statistics_are_equal_at_every_magnitude(width: float):
    values = (noise(5000) * width).astype(np.float32)
    assert statistics_of_tensor(torch.from_numpy(values)).same_as(statistics_of(values))


@pytest.mark.parametrize("values", [np.array([3, -4, 0], np.int8), np.array([True, False]), np.array([0.1, 2.0])])
def test_other_types_count_as_float32(values: np.ndarray):
    assert statistics_of_tensor(torch.from_numpy(values)).same_as(statistics_of(values))


@given(st.lists(hnp.arrays(np.float32, hnp.array_shapes(max_dims=2, min_side=0), elements=FLOATS), max_size=5))
def test_batches_that_are_counted_on_the_device_add_up_as_the_counter_has_it(batches: list[np.ndarray]):
    counters, reference = DeviceCounters(torch.device("cpu")), TensorCounter()
    for values in batches:
        counters.add("x", torch.from_numpy(values))
        reference.add(values)
        assert counters.finish_batch()
    if batches:
        assert counters.statistics()["x"].same_as(reference.statistics())


@pytest.mark.parametrize("device", DEVICES)
def test_bins_widen_on_the_device_over_seventy_decades(device: str):
    random = np.random.default_rng(0)
    batches = [
        (random.normal(size=2000) * 10.0**power).astype(np.float32) for power in random.permutation(np.arange(-44, 38))
    ]
    counters = DeviceCounters(torch.device(device))
    references = {"x": TensorCounter(), "y": TensorCounter()}
    for number, values in enumerate(batches):
        for name, array in {"x": values, "y": np.abs(values) * (number % 3)}.items():
            counters.add(name, torch.from_numpy(array).to(device))
            references[name].add(array)
        assert counters.finish_batch()
    for name, statistics in counters.statistics().items():
        assert statistics.same_as(references[name].statistics())


def test_values_that_are_not_finite_are_named_with_their_place():
    values = torch.zeros(2, 3)
    values[1, 2] = torch.inf
    with pytest.raises(CalibrationError, match=r"tensor 'x': 1 of 6 values .* index \[1, 2\] is inf"):
        statistics_of_tensor(values, where="tensor 'x'")


def test_statistics_are_collected_without_handing_tensors_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Torch, "open", lambda *given: pytest.fail("activations would be copied"))
    images = noise(10, 3, 8, 8)
    by_torch = collect(two_convs(), TENSORS, ENGINE, batches_of(images))
    by_onnxruntime = collect(two_convs(), TENSORS, OnnxRuntime(threads=1), batches_of(images))
    assert by_torch.samples == 10
    assert by_torch.tensors["image"].same_as(by_onnxruntime.tensors["image"])
    for name in TENSORS:
        ours, theirs = by_torch.tensors[name], by_onnxruntime.tensors[name]
        assert ours.count == theirs.count
        # Runtimes add up products in another order: the extrema differ by rounding.
        np.testing.assert_allclose([ours.minimum, ours.maximum], [theirs.minimum, theirs.maximum], rtol=1e-5)


def test_an_activation_that_overflows_names_tensor_and_samples():
    images = noise(4, 3, 8, 8)
    images[2] = 3e38
    with pytest.raises(CalibrationError, match=r"'before', batch samples 2..3"):
        collect(two_convs(), ("before",), ENGINE, batches_of(images, 2))


def test_a_counting_session_checks_feeds_and_is_closed_at_the_end():
    with ENGINE.open_counting(chain(), ("a",)) as counting:
        with pytest.raises(DataError, match="no data for it"):
            counting.add({}, batch="0")
        counting.add({"x": -np.ones((1, 4), np.float32)}, batch="0")
        assert counting.statistics()["a"].minimum == 1.0
    with pytest.raises(EngineError, match="closed"):
        counting.add({"x": np.ones((1, 4), np.float32)}, batch="0")


def test_an_operator_that_torch_has_no_function_for_is_an_engine_error():
    model = model_from_text(
        "g (float[N, 4] x) => (float[N, 4] y) { [strange] y = my.domain.Foo(x) }", extra_domain="my.domain"
    )
    with pytest.raises(EngineError, match=r"torch: .*Foo.*strange"):
        ENGINE.open(model)


@pytest.mark.parametrize("device", ["abacus", "meta", "cuda:99"])
def test_a_device_that_is_not_here_is_refused(device: str):
    with pytest.raises(EngineError, match=device):
        Torch(device).open(chain())


def test_a_thread_count_below_one_is_refused():
    with pytest.raises(RecipeError, match="threads"):
        Torch(threads=0)


def test_without_torch_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(EngineMissing, match=r"pip install 'quantlab\[torch\]'"):
        device_named("cpu")


def test_settings_hold_within_the_block_only():
    convolutions: Any = torch.backends.cudnn
    before = torch.get_num_threads(), convolutions.conv.fp32_precision
    with numerics(threads=before[0] + 1):
        assert torch.get_num_threads() == before[0] + 1
        assert convolutions.conv.fp32_precision == "ieee"
        assert torch.backends.cuda.matmul.fp32_precision == "ieee"
    with numerics(allow_tf32=True):
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    assert (torch.get_num_threads(), convolutions.conv.fp32_precision) == before


@pytest.mark.gpu
def test_cuda_and_cpu_agree_without_tf32():
    images = noise(16, 3, 8, 8)
    on_cuda = collect(two_convs(), TENSORS, Torch("cuda"), batches_of(images))
    on_cpu = collect(two_convs(), TENSORS, ENGINE, batches_of(images))
    assert on_cuda.tensors["image"].same_as(on_cpu.tensors["image"])
    with Torch("cuda").open(two_convs()) as cuda, ENGINE.open(two_convs()) as cpu:
        ours, theirs = (session.run({"image": images})["scores"] for session in (cuda, cpu))
    # float32 sums of 36 products in another order; TF32 would be off by 1e-3.
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_counting_on_cuda_never_waits_for_the_device():
    counters = DeviceCounters(torch.device("cuda"))
    values = torch.from_numpy(noise(100_000)).cuda()
    counters.add("x", values)
    try:
        torch.cuda.set_sync_debug_mode("error")
        counters.add("x", values)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
def test_a_tensor_on_cuda_has_the_statistics_of_its_array():
    values = noise(100_000)
    assert statistics_of_tensor(torch.from_numpy(values).cuda()).same_as(statistics_of(values))
