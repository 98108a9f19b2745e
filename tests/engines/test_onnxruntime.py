"""What is particular to the ONNX Runtime engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from quantlab.engines import OnnxRuntime
from quantlab.engines.onnxruntime import EXACT_PRODUCTS
from quantlab.errors import EngineError, EngineMissing, RecipeError
from quantlab.graph.load import load
from quantlab.graph.model import Model
from quantlab.processor import Processor
from quantlab.targets.onnxruntime import OnnxRuntime as OnnxRuntimeTarget
from tests.engines.models import chain, model_from_text
from tests.targets.onnxruntime_plans import ALL_PATTERNS
from tests.targets.quantize import noise_for, quantized

X = np.linspace(-2, 2, 8, dtype=np.float32).reshape(2, 4)
ENGINE = OnnxRuntime(threads=1)


@pytest.mark.parametrize("optimization", ["all", "none"])
def test_taps_are_the_same_with_and_without_optimizations(optimization: str):
    engine = OnnxRuntime(threads=1, optimization="all" if optimization == "all" else "none")
    with engine.open(chain(), taps=("a", "b")) as session:
        np.testing.assert_array_equal(session.run({"x": X})["b"], -np.abs(X))


def test_only_an_engine_without_optimizations_is_a_simulation():
    assert not OnnxRuntime().is_simulation
    assert OnnxRuntime(optimization="none").is_simulation


def test_an_unknown_custom_operator_is_named_with_its_domain_and_node():
    model = model_from_text(
        "g (float[N, 4] x) => (float[N, 4] y) { [strange] y = my.domain.Foo(x) }", extra_domain="my.domain"
    )
    with pytest.raises(EngineError) as caught:
        ENGINE.open(model)
    message = str(caught.value)
    assert "node 'strange'" in message
    assert "operator Foo of domain 'my.domain'" in message
    assert "libraries" in message
    assert "\n" not in message


def test_an_unknown_standard_operator_is_named_with_its_node_and_opset():
    model = model_from_text("g (float[N, 4] x) => (float[N, 4] y) { [strange] y = NoSuchThing(x) }", opset=17)
    with pytest.raises(EngineError, match="node 'strange': operator NoSuchThing is unknown in opset 17"):
        ENGINE.open(model)


def test_shapes_that_cannot_meet_are_told_in_one_line_at_opening():
    model = model_from_text("g (float[2, 4] x, float[3, 5] w) => (float[N, 5] y) { [meet] y = MatMul(x, w) }")
    with pytest.raises(EngineError, match=r"cannot open it: .*meet.*Incompatible dimensions") as caught:
        ENGINE.open(model)
    assert "\n" not in str(caught.value)


def test_a_failure_while_running_names_the_node_and_no_source_path():
    model = model_from_text("g (float[N, 4] x, float[M, 4] w) => (float[A, B] y) { [adder] y = Add(x, w) }")
    with ENGINE.open(model) as session, pytest.raises(EngineError, match=r"node 'adder' \(Add\): ") as caught:
        session.run({"x": X, "w": np.zeros((3, 4), np.float32)})
    assert "2 by 3" in str(caught.value)
    assert "/onnxruntime" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_output_that_is_no_tensor_is_refused():
    model = model_from_text(
        "g (float[N, 4] x) => (seq(float[N, 4]) y) { [pack] y = SequenceConstruct(x) }",
    )
    with ENGINE.open(model) as session, pytest.raises(EngineError, match="output 'y' of g is a list"):
        session.run({"x": X})


def test_a_provider_that_is_not_installed_says_what_to_install():
    with pytest.raises(EngineMissing, match="onnxruntime-gpu"):
        OnnxRuntime(providers=("NoSuchExecutionProvider",)).open(chain())


def test_a_library_that_does_not_exist_is_named(tmp_path: Path):
    missing = str(tmp_path / "ops.so")
    with pytest.raises(EngineError, match=r"ops\.so: there is no such file"):
        OnnxRuntime(libraries=(missing,)).open(chain())


def test_a_file_that_is_no_library_is_named(tmp_path: Path):
    library = tmp_path / "ops.so"
    library.write_text("not a library")
    with pytest.raises(EngineError, match=r"operator library .*ops\.so: Failed to load library"):
        OnnxRuntime(libraries=(str(library),)).open(chain())


def test_a_library_in_the_working_folder_is_found_by_its_bare_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ops.so").write_text("not a library")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EngineError) as caught:
        OnnxRuntime(libraries=("ops.so",)).open(chain())
    assert "No such file" not in str(caught.value)  # it was opened, and is none


@pytest.mark.parametrize("threads", [0, -1])
def test_a_thread_count_below_one_is_refused(threads: int):
    with pytest.raises(RecipeError, match="threads"):
        OnnxRuntime(threads=threads)


def test_an_unknown_optimization_is_refused():
    with pytest.raises(RecipeError, match="'some'"):
        OnnxRuntime(optimization="some")  # type: ignore[arg-type]


def test_no_provider_at_all_is_refused():
    with pytest.raises(RecipeError, match="provider"):
        OnnxRuntime(providers=())


def weighted(weight: np.ndarray) -> Model:
    model = model_from_text("g (float[N, 4] x, float[4, 128] w) => (float[N, 128] y) { [matmul] y = MatMul(x, w) }")
    w = model.graph.inputs.pop()
    w.const_value = ir.Tensor(weight, name="w")
    model.graph.initializers.add(w)
    return model


def test_weights_in_an_external_file_are_found(tmp_path: Path):
    weight = np.arange(512, dtype=np.float32).reshape(4, 128)
    path = tmp_path / "model.onnx"
    ir.save(weighted(weight).ir_model, path, external_data="weights.bin")
    with ENGINE.open(load(path)) as session:
        np.testing.assert_array_equal(session.run({"x": np.eye(4, dtype=np.float32)})["y"], weight)


def test_a_model_beyond_the_limit_of_protobuf_goes_through_a_file(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("quantlab.graph.save.PROTOBUF_LIMIT_BYTES", 2**26 + 1000)
    weight = np.arange(512, dtype=np.float32).reshape(4, 128)
    with ENGINE.open(weighted(weight), taps=("x",)) as session:
        np.testing.assert_array_equal(session.run({"x": np.eye(4, dtype=np.float32)})["y"], weight)


@pytest.mark.parametrize(("instructions", "expected"), [(("AVX2",), "1"), (("AVX2", "AVX-512 VNNI"), "0")])
def test_only_where_products_saturate_are_they_multiplied_the_slow_exact_way(
    monkeypatch: pytest.MonkeyPatch, instructions: tuple[str, ...], expected: str
):
    processor = Processor("", "x86_64", instructions)
    monkeypatch.setattr("quantlab.engines.onnxruntime.read_processor", lambda: processor)
    assert ENGINE.describe()[EXACT_PRODUCTS] == expected


@pytest.mark.parametrize("instructions", [("AVX2",), ("AVX2", "AVX-512 VNNI")])
def test_a_weight_that_two_nodes_read_runs_and_is_profiled_on_every_processor(
    monkeypatch: pytest.MonkeyPatch, instructions: tuple[str, ...]
):
    processor = Processor("", "x86_64", instructions)
    monkeypatch.setattr("quantlab.engines.onnxruntime.read_processor", lambda: processor)
    pattern = ALL_PATTERNS["shared_weight"]()
    model = quantized(pattern, OnnxRuntimeTarget().place(pattern))
    feeds = noise_for(model)
    with ENGINE.open(model) as session:
        assert np.isfinite(session.run(feeds)[model.outputs[0]]).all()
    assert len(ENGINE.profile(model, feeds, runs=1)) == 1
