"""Plans run on host arrays: buffers, shapes, graphs and times; played with stand-ins for TensorRT and the GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantlab.engines.tensorrt import BuildSettings, RunSettings, TensorRT, build_plan, parse_shapes
from quantlab.engines.tensorrt.gpu import Gpu
from quantlab.errors import DataError, EngineError, RecipeError
from tests.engines.models import chain, fixed_batch, model_from_text, two_inputs
from tests.engines.tensorrt.fake_machine import play_machine


def numbers(batch: int) -> np.ndarray:
    return np.arange(4 * batch, dtype=np.float32).reshape(batch, 4) - 3


# ONNX Runtime's sigmoid, which the stand-in computes with, is accurate to some 1e-7.
def expected(x: np.ndarray) -> np.ndarray:
    result: np.ndarray = 1 / (1 + np.exp(np.abs(x)))
    return result


def test_closing_gives_everything_back(monkeypatch: pytest.MonkeyPatch) -> None:
    _, memories = play_machine(monkeypatch)
    with TensorRT().open(chain()) as session:
        session.run({"x": numbers(2)})
        (memory,) = memories
        assert (len(memory.live), len(memory.locked)) == (2, 2)
    assert not memory.live
    assert not memory.locked
    assert memory.is_closed


def test_buffers_grow_with_the_batch_and_are_kept_for_smaller_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    _, memories = play_machine(monkeypatch)
    with TensorRT().open(chain()) as session:
        addresses = []
        for batch in (2, 5, 3):
            np.testing.assert_allclose(session.run({"x": numbers(batch)})["y"], expected(numbers(batch)), atol=1e-6)
            addresses.append(set(memories[0].live))
        assert addresses[0] != addresses[1]
        assert addresses[1] == addresses[2]


def test_a_shape_beyond_the_plan_names_the_range(monkeypatch: pytest.MonkeyPatch) -> None:
    play_machine(monkeypatch)
    settings = BuildSettings(shapes=parse_shapes(["x:1x4,2x4,4x4"]))
    with (
        TensorRT(settings=settings).open(chain()) as session,
        pytest.raises(EngineError, match=r"input 'x': shape 5x4 is outside of 1x4,2x4,4x4 .* another --shape"),
    ):
        session.run({"x": numbers(5)})


def test_a_graph_is_captured_once_per_shape_and_launched_after(monkeypatch: pytest.MonkeyPatch) -> None:
    _, memories = play_machine(monkeypatch)
    with TensorRT(run=RunSettings(cuda_graph=True)).open(chain()) as session:
        for batch in (2, 2, 2, 1, 1, 8):
            np.testing.assert_allclose(session.run({"x": numbers(batch)})["y"], expected(numbers(batch)), atol=1e-6)
    assert (memories[0].captured, memories[0].launched) == (3, 3)
    assert memories[0].graphs == 0  # those of earlier shapes were given back too


def test_tensorrt_rtx_makes_its_graphs_itself_and_keeps_its_kernels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, memories = play_machine(monkeypatch, is_rtx=True)
    cache = tmp_path / "kernels"
    engine = TensorRT(run=RunSettings(cuda_graph=True, runtime_cache=cache))
    for content in (b"+", b"++"):
        with engine.open(chain()) as session:
            session.run({"x": numbers(2)})
        assert cache.read_bytes() == content
    assert memories[0].captured == 0
    lost = TensorRT(run=RunSettings(runtime_cache=tmp_path / "no folder" / "kernels"))
    with pytest.raises(EngineError, match="the runtime cache cannot be written"), lost.open(chain()):
        pass
    assert all(memory.is_closed for memory in memories)
    cache.write_bytes(b"foreign")
    with engine.open(chain()):
        pass
    assert cache.read_bytes() == b"+"  # a new one


def test_only_tensorrt_rtx_keeps_kernels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _, memories = play_machine(monkeypatch)
    with pytest.raises(RecipeError, match="runtime cache: only tensorrt_rtx"):
        TensorRT(run=RunSettings(runtime_cache=tmp_path / "kernels")).open(chain())
    assert memories[0].is_closed


def test_outputs_of_unknown_size_ask_for_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    trt, memories = play_machine(monkeypatch)
    trt.unknown_sizes = True
    with TensorRT().open(chain()) as session:
        for batch in (3, 1):
            np.testing.assert_allclose(session.run({"x": numbers(batch)})["y"], expected(numbers(batch)), atol=1e-6)
        assert len(memories[0].live) == 1  # the input's


def test_a_run_that_allocates_is_not_captured_as_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    trt, memories = play_machine(monkeypatch)
    trt.unknown_sizes = True
    with TensorRT(run=RunSettings(cuda_graph=True)).open(chain()) as session:
        for _ in range(3):
            np.testing.assert_allclose(session.run({"x": numbers(2)})["y"], expected(numbers(2)), atol=1e-6)
    assert memories[0].captured == 0


def test_an_output_that_finds_no_memory_says_so_and_the_session_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    trt, memories = play_machine(monkeypatch)
    trt.unknown_sizes = True
    with TensorRT().open(chain()) as session:
        session.run({"x": numbers(1)})
        memories[0].room_bytes = 0
        with pytest.raises(EngineError, match="cannot allocate 16 bytes: out of memory"):
            session.run({"x": numbers(1)})
        memories[0].room_bytes = 100
        session.run({"x": numbers(1)})
        assert len(memories[0].live) == 1  # the input's


def test_an_input_that_is_a_shape_is_read_on_the_host_before_shapes_are_inferred(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trt, memories = play_machine(monkeypatch)
    model = model_from_text("shaped (float[N, 4] x, int64[2] s) => (float[A, B] y) { [turn] y = Reshape(x, s) }")
    trt.on_host = ("s",)
    with TensorRT(run=RunSettings(cuda_graph=True)).open(model) as session:
        for shape in ([4, 2], [2, 4], [1, 8]):
            feeds = {"x": numbers(2), "s": np.array(shape, np.int64)}
            np.testing.assert_array_equal(session.run(feeds)["y"], numbers(2).reshape(shape))
        with pytest.raises(EngineError, match="'s': TensorRT reads or writes it on the host"):
            session.run_on_device({name: _OnGpu(array) for name, array in feeds.items()})
    assert memories[0].captured == 0  # it would repeat the first shape


class _OnGpu:
    """An array that says it is on the GPU."""

    def __init__(self, array: np.ndarray) -> None:
        data = (array.ctypes.data, False)
        self.__cuda_array_interface__ = {"shape": array.shape, "typestr": array.dtype.str, "data": data, "version": 3}


def test_shapes_that_cannot_be_inferred_are_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    trt, _ = play_machine(monkeypatch)
    with TensorRT().open(chain()) as session:
        trt.cannot_infer = "reshape would change the volume"
        with pytest.raises(EngineError, match=r"tensorrt 11\.1.*cannot tell the outputs' shapes: reshape would change"):
            session.run({"x": numbers(2)})


def test_a_closed_session_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    play_machine(monkeypatch)
    with TensorRT().open(chain()) as session:
        pass
    for run in (session.run, session.run_on_device, session.time_parts):
        with pytest.raises(EngineError, match="it is closed"):
            run({"x": numbers(2)})


def test_times_are_told_with_and_without_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    _, memories = play_machine(monkeypatch)
    with TensorRT().open(chain()) as session:
        end_to_end_ms, gpu_ms = session.time_parts({"x": numbers(2)})
        assert 0 < gpu_ms < end_to_end_ms
        assert memories[0].events == 0
        with pytest.raises(DataError, match="no data for it"):
            session.time_parts({})


def test_half_precision_passes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    play_machine(monkeypatch)
    model = model_from_text("half (float16[N, 4] x) => (float16[N, 4] y) { [neg] y = Neg(x) }")
    with TensorRT().open(model) as session:
        output = session.run({"x": numbers(2).astype(np.float16)})["y"]
    assert output.dtype == np.float16
    np.testing.assert_array_equal(output, -numbers(2).astype(np.float16))


def test_a_plan_built_before_is_used_for_its_model_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trt, _ = play_machine(monkeypatch)
    build_plan(two_inputs(), tmp_path / "two.plan")
    engine = TensorRT(plan=tmp_path / "two.plan")
    with engine.open(two_inputs()) as session:
        np.testing.assert_array_equal(session.run({"z": numbers(2), "x": numbers(2)})["y"], 2 * numbers(2))
    assert len(trt.configs) == 1
    with pytest.raises(EngineError, match="built from another model than chain"):
        engine.open(chain())


def test_a_plan_can_be_run_without_its_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    play_machine(monkeypatch)
    build_plan(fixed_batch(), tmp_path / "fixed.plan")
    with TensorRT(plan=tmp_path / "fixed.plan").open_plan() as session:
        assert [str(spec) for spec in session.inputs] == ["x: float32[2, 4]"]
        np.testing.assert_array_equal(session.run({"x": numbers(2)})["y"], -np.abs(numbers(2)))


def test_a_plan_brings_the_plugins_it_was_built_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    play_machine(monkeypatch)
    (tmp_path / "ops.py").write_text("open(__file__ + '.ran', 'w').close()")
    build_plan(chain(), tmp_path / "net.plan", BuildSettings(plugins=(str(tmp_path / "ops.py"),)))
    (tmp_path / "ops.py.ran").unlink()
    play_machine(monkeypatch)  # another process
    with TensorRT(plan=tmp_path / "net.plan").open_plan():
        assert (tmp_path / "ops.py.ran").exists()


def test_a_plan_for_another_gpu_or_version_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trt, _ = play_machine(monkeypatch)
    build_plan(chain(), tmp_path / "net.plan")
    engine = TensorRT(plan=tmp_path / "net.plan")
    monkeypatch.setattr("quantlab.engines.tensorrt.engine.current_gpu", lambda: Gpu("NVIDIA A10", "8.6"))
    with pytest.raises(EngineError, match="built for NVIDIA L4"):
        engine.open_plan()
    trt.__version__ = "11.4.0"
    with pytest.raises(EngineError, match=r"this machine has 11\.4\.0"):
        engine.open_plan()


def test_what_tensorrt_says_when_it_cannot_load_a_plan_is_passed_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trt, _ = play_machine(monkeypatch)
    monkeypatch.setattr(trt, "_build", lambda *_: b"foreign")
    build_plan_of = TensorRT(plan=tmp_path / "net.plan")
    monkeypatch.setattr("quantlab.engines.tensorrt.worker.Worker._inspected", lambda *_: "{}")
    build_plan(chain(), tmp_path / "net.plan")
    with pytest.raises(EngineError, match=r"cannot load the plan: The engine cannot run on this GPU$"):
        build_plan_of.open_plan()


def test_a_gpu_that_tensorrt_rtx_does_not_run_on_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trt, memories = play_machine(monkeypatch, is_rtx=True)
    monkeypatch.setattr(trt, "_build", lambda *_: b"foreign")
    monkeypatch.setattr("quantlab.engines.tensorrt.worker.Worker._inspected", lambda *_: "{}")
    build_plan(chain(), tmp_path / "net.plan")
    monkeypatch.setattr("quantlab.engines.tensorrt.execution.current_gpu", lambda: Gpu("NVIDIA H200", "9.0"))
    with pytest.raises(EngineError) as caught:
        TensorRT(plan=tmp_path / "net.plan").open_plan()
    assert str(caught.value).endswith(
        ": cannot load the plan: The engine cannot run on this GPU (it runs on GPUs of compute capability 8.6, 8.9; "
        "this is NVIDIA H200 (compute capability 9.0))"
    )
    assert memories[0].is_closed


def test_the_engine_describes_machine_and_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    play_machine(monkeypatch)
    described = TensorRT().describe()
    assert described["runtime"] == "tensorrt"
    assert described["gpu"] == "NVIDIA L4 (compute capability 8.9)"
