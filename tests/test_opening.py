import numpy as np
import onnx_ir as ir
import pytest

import quantlab
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.errors import ModelError
from quantlab.graph.save import save, to_bytes
from quantlab.opening import open_float_model, open_model, prepare_with_shapes
from tests.engines.fake import FakeEngine
from tests.models import model_from_text, two_convs
from tests.runs import UNTIMED, classifier, images


def test_a_model_is_opened_from_a_path_its_text_its_bytes_or_itself(tmp_path):
    path = tmp_path / "net.onnx"
    model = two_convs()
    save(model, path)
    for given in (path, str(path), to_bytes(model)):
        assert open_model(given).outputs == ("scores",)
    assert open_model(model) is model


def test_the_word_digits_is_the_bundled_network():
    assert open_model("digits").name == "digits.onnx"


@pytest.mark.parametrize("given", ["net", "", "net.pt", None, 3])
def test_what_names_no_model_is_refused_with_what_to_give(given):
    with pytest.raises(ModelError, match=r"unknown; give an \.onnx file, `digits` .*, torchvision:NAME"):
        open_model(given)


def test_a_folder_is_answered_with_the_models_in_it(tmp_path):
    with pytest.raises(ModelError, match=r"this is a folder; give a model$"):
        open_model(str(tmp_path))
    save(two_convs(), tmp_path / "net.onnx")
    with pytest.raises(ModelError, match=r"this is a folder; give a model in it: net\.onnx"):
        open_model(str(tmp_path))


def test_a_file_of_another_name_is_not_said_to_be_unknown(tmp_path):
    (tmp_path / "net.pb").write_bytes(b"")
    with pytest.raises(ModelError, match=r"net\.pb': the file's name does not end in \.onnx; give"):
        open_model(str(tmp_path / "net.pb"))


def test_a_quantized_model_is_no_float_model():
    run = quantlab.ptq(classifier(), images(), **UNTIMED)
    with pytest.raises(
        ModelError, match=r"quantized already \(.* and \d+ more\); give the float model .*`quantlab qat`"
    ):
        open_float_model(run.quantized["onnxruntime"].model)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_weight_with_nan_is_named_in_every_precision(dtype):
    model = two_convs()
    weight = model.constant("w2").astype(dtype)
    weight[1, 2, 0, 0] = np.nan
    model.graph.initializers["w2"].const_value = ir.tensor(weight)
    with pytest.raises(ModelError, match="weight 'w2' holds NaN; repair the model"):
        open_float_model(model)


def test_infinity_may_stand_in_a_mask():
    model = two_convs()
    model.graph.initializers["b2"].const_value = ir.tensor(np.full(4, -np.inf, np.float32))
    assert open_float_model(model) is model


def test_shapes_behind_a_custom_operator_come_from_a_run():
    model = model_from_text(
        """
        <ir_version: 10, opset_import: ["": 18, "com.microsoft": 1]>
        g (float[N, 4] x) => (float[A, B] y) { [gelu] t = com.microsoft.QuickGelu (x) [relu] y = Relu (t) }
        """,
        {},
    )
    prepared = prepare_with_shapes(model, OnnxRuntime(threads=1), {"x": np.ones((2, 4), np.float32)})
    shape = prepared.values_by_name()["t"].shape
    assert shape is not None
    assert [str(axis) for axis in shape] == ["N", "4"]
    assert any("taken from a run" in note for note in prepared.notes)


def test_where_inference_knows_every_shape_nothing_is_run():
    engine = FakeEngine()
    prepare_with_shapes(two_convs(), engine, {})
    assert engine.opened == []
