"""Poolings beyond ONNX's node tests."""

from __future__ import annotations

import pytest
import torch

from quantlab.torchgraph.ops.pooling import average_pool, max_pool

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("count_include_pad", [0, 1])
def test_a_window_much_larger_than_the_map_takes_no_memory_of_its_size(count_include_pad: int) -> None:
    # Exported EfficientNets pool so; to pad the map to the window would take gigabytes here.
    x = torch.randn(1, 1, 3, 3)
    window = {"kernel_shape": [30_000, 30_000], "strides": [30_000, 30_000], "ceil_mode": 1}
    mean = average_pool(x, count_include_pad=count_include_pad, **window)  # type: ignore[arg-type]
    torch.testing.assert_close(mean, x.mean((2, 3), keepdim=True))
    assert torch.equal(max_pool(x, **window), x.amax((2, 3), keepdim=True))  # type: ignore[arg-type]
