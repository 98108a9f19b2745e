"""Peak memory, measured in a process of its own."""

from __future__ import annotations

import json
import time

import numpy as np
import onnx_ir as ir
import psutil
import pytest

from quantlab.engines import OnnxRuntime
from quantlab.errors import EngineError
from quantlab.evaluation.memory import Memory, measure_memory
from quantlab.evaluation.memory_process import ResidentPeak
from quantlab.graph.model import Model
from tests.engines.fake import FakeEngine
from tests.engines.models import chain, model_from_text

WIDTH = 2048


def wide() -> Model:
    """A product with 16 MiB of weights."""
    model = model_from_text(
        f"g (float[N, {WIDTH}] x, float[{WIDTH}, {WIDTH}] w) => (float[N, {WIDTH}] y) {{ [product] y = MatMul(x, w) }}"
    )
    w = model.graph.inputs.pop()
    w.const_value = ir.Tensor(np.ones((WIDTH, WIDTH), np.float32), name="w")
    model.graph.initializers.add(w)
    return model


def test_weights_and_activations_are_in_the_peak():
    feeds = {"x": np.ones((512, WIDTH), np.float32)}
    memory = measure_memory(OnnxRuntime(threads=1), wide(), feeds)
    weights, output = 4 * WIDTH * WIDTH, 4 * 512 * WIDTH
    # At least what must be there (a page more or less); at most three times that, for packed copies and buffers.
    assert 0.95 * (weights + output) < memory.peak_bytes < 3 * (weights + output)
    assert memory.batch_size == 512


def test_an_engine_that_no_other_process_can_open_is_refused():
    with pytest.raises(EngineError, match="'fake'"):
        measure_memory(FakeEngine(), chain(), {"x": np.ones((1, 4), np.float32)})


def test_a_failure_of_the_process_is_told():
    with pytest.raises(EngineError, match=r"memory: the process that measures failed: .*shape"):
        measure_memory(OnnxRuntime(threads=1), chain(), {"x": np.ones((1, 5), np.float32)})


def test_the_watch_sees_memory_that_is_gone_at_the_end():
    before = psutil.Process().memory_info().rss
    with ResidentPeak() as watch:
        block = np.ones(64 * 2**20, np.uint8)
        time.sleep(0.05)  # fifty looks
        del block
    assert watch.peak_bytes - before > 32 * 2**20


def test_memory_prints_and_becomes_json():
    memory = Memory(12_300_000, 8)
    assert str(memory) == "peak memory 12.3 MB at batch 8"
    assert json.loads(json.dumps(memory.to_json())) == {"peak_bytes": 12_300_000, "batch_size": 8}
