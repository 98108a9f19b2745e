"""Models are built in a process of their own, and every way it can end is told in one line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantlab.engines.tensorrt import BuildSettings, build_engines, build_plan, building, parse_shapes, read_plan
from quantlab.engines.tensorrt.gpu import Gpu
from quantlab.errors import EngineError
from quantlab.graph.model import Model
from tests.engines.models import chain, fixed_batch, model_from_text
from tests.models import model_from_text as weighted_model
from tests.models import noise, two_convs
from tests.rtx import requires_rtx

RTX = BuildSettings(runtime="tensorrt_rtx", timeout_s=120)


@requires_rtx
@pytest.mark.tensorrt
def test_a_plan_comes_with_a_side_car_that_says_what_it_is(tmp_path: Path) -> None:
    model = two_convs()
    settings = BuildSettings(
        runtime="tensorrt_rtx", compute_capabilities=("8.6", "8.9"), shapes=parse_shapes(["image:2x3x8x8"])
    )
    record = build_plan(model, tmp_path / "net.plan", settings)
    data, read = read_plan(tmp_path / "net.plan", model=model)
    assert read == record
    assert len(data) > 1000
    # 3·4·9 + 4·4·9 weights and 2·4 biases in float32, padded as kernels want them.
    assert 4 * 260 <= (record.weights_bytes or 0) < 8 * 4 * 260
    assert record.activations_bytes is not None
    assert record.runtime == "tensorrt_rtx"
    assert record.compute_capabilities == ("8.6", "8.9")
    assert {node for layer in record.layers for node in layer.nodes} >= {"conv1", "conv2"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.plan", "net.plan.json"]


@requires_rtx
@pytest.mark.tensorrt
def test_a_model_that_the_parser_refuses_is_named_with_node_and_reason(tmp_path: Path) -> None:
    model = model_from_text("g (float[N] x) => (float[N] y) { [odd] y = mine.Strange(x) }", extra_domain="mine")
    with pytest.raises(EngineError, match=r"tensorrt_rtx 1\.\S+ refuses g: node 'odd' \(Strange\): .*Plugin not found"):
        build_plan(model, tmp_path / "g.plan", RTX)
    assert not list(tmp_path.iterdir())


@requires_rtx
@pytest.mark.tensorrt
def test_a_scale_computed_at_run_time_is_an_error_and_not_a_crash(tmp_path: Path) -> None:
    # TensorRT-RTX 1.7 takes the whole process down on this model.
    with pytest.raises(EngineError, match=r"crashed \(SIG\w+\) on computed: QuantizeLinear 'q' has a scale"):
        build_plan(conv_with_computed_scale(), tmp_path / "computed.plan", RTX)
    assert not list(tmp_path.iterdir())


def conv_with_computed_scale() -> Model:
    """A convolution in INT8 whose activation scale comes from each batch's own maximum."""
    text = """
    <ir_version: 10, opset_import: ["": 18]>
    computed (float[N, 32, 8, 8] x, int8[32, 32, 3, 3] w, float[32] s) => (float[N, 32, 8, 8] y) <float d = {127.0}> {
      [abs] a = Abs(x)
      [max] m = ReduceMax<keepdims = 0>(a)
      [scale] t = Div(m, d)
      [q] q = QuantizeLinear(x, t)
      [dq] dx = DequantizeLinear(q, t)
      [wdq] dw = DequantizeLinear<axis = 0>(w, s)
      [conv] y = Conv<pads = [1, 1, 1, 1]>(dx, dw)
    }
    """
    weights = (30 * noise(32, 32, 3, 3)).astype(np.int8)
    return weighted_model(text, {"w": weights, "s": np.full(32, 0.01, np.float32)})


class FakeWorker:
    """Ends as told, after answering the first `answered` jobs."""

    def __init__(self, returncode: int, *, answered: int = 0, stderr: str = "", errors: tuple[str, ...] = ()) -> None:
        self._ended = subprocess.CompletedProcess([], returncode, "", stderr)
        self._answered = answered
        self._errors = errors
        self.request: dict[str, Any] = {}

    def run(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        folder = Path(command[-1])
        self.request = json.loads((folder / "request.json").read_text())
        for name in list(self.request["jobs"])[: self._answered]:
            answer = {"version": "1.7", "errors": self._errors, "warnings": [], "layers": "Layers:", "seconds": 0.1}
            answer |= {"weights_bytes": 1200, "activations_bytes": None}
            (folder / f"{name}.json").write_text(json.dumps(answer))
            (folder / f"{name}.plan").write_bytes(b"plan")
        return self._ended


@pytest.fixture(autouse=True)
def _any_runtime(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("tensorrt") is None:
        monkeypatch.setattr(building, "installed_runtime", lambda name: name or "tensorrt_rtx")
        monkeypatch.setattr(building, "current_gpu", lambda: Gpu("NVIDIA L4", "8.9"))


def work(monkeypatch: pytest.MonkeyPatch, worker: FakeWorker) -> FakeWorker:
    monkeypatch.setattr(subprocess, "run", worker.run)
    return worker


def test_a_crash_names_the_model_it_happened_on(monkeypatch: pytest.MonkeyPatch) -> None:
    work(monkeypatch, FakeWorker(-11, answered=1))
    with pytest.raises(EngineError, match=r"crashed \(SIGSEGV\) on fixed; this model cannot be built"):
        build_engines({"a": chain(), "b": fixed_batch()}, RTX)


def test_an_unknown_signal_is_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    work(monkeypatch, FakeWorker(-200))
    with pytest.raises(EngineError, match="signal 200"):
        build_engines({"a": chain()}, RTX)


def test_a_worker_that_fails_tells_its_last_lines_without_the_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    work(monkeypatch, FakeWorker(1, stderr="Traceback\nboom\ncudaError 35\n"))
    with pytest.raises(EngineError, match=r"ended with 1 at chain: Traceback boom$"):
        build_engines({"a": chain()}, RTX)


def test_a_build_that_does_not_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], *, timeout: float, **options: Any) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(EngineError, match="no end of building a within 120 s"):
        build_engines({"a": chain()}, RTX)


def test_of_many_faults_the_first_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    work(monkeypatch, FakeWorker(0, answered=1, errors=tuple("abcdefg")))
    with pytest.raises(EngineError, match=r"refuses chain: a; b; c; d; e \.\.\. and 2 more"):
        build_engines({"a": chain()}, RTX)


def test_the_request_holds_what_was_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    worker = work(monkeypatch, FakeWorker(0, answered=1))
    settings = BuildSettings(
        runtime="tensorrt", workspace_mb=3, optimization_level=1, timing_cache=tmp_path / "c", timeout_s=9
    )
    record = build_plan(chain(), tmp_path / "net.plan", settings)
    shape = {"smallest": [1, 4], "usual": [8, 4], "largest": [32, 4], "is_values": False}
    assert worker.request == {
        "runtime": "tensorrt",
        "jobs": {"model": {"x": shape}},
        "workspace_bytes": 3 * 2**20,
        "optimization_level": 1,
        "timing_cache": str(tmp_path / "c"),
        "compute_capabilities": [],
        "plugins": [],
    }
    assert (record.runtime, record.version, record.seconds) == ("tensorrt", "1.7", 0.1)
    assert (tmp_path / "net.plan").read_bytes() == b"plan"


def test_tensorrt_without_a_gpu_says_where_to_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "current_gpu", lambda: None)
    with pytest.raises(EngineError, match=r"builds on the GPU that is to run the plan, .* tensorrt_rtx"):
        build_engines({"a": chain()}, BuildSettings(runtime="tensorrt"))


def test_a_plan_that_cannot_be_written_says_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    work(monkeypatch, FakeWorker(0, answered=1))
    with pytest.raises(EngineError, match=r"nowhere.*cannot be written"):
        build_plan(chain(), tmp_path / "nowhere" / "net.plan", RTX)
