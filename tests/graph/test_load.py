from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab.errors import ModelError
from quantlab.graph.load import load
from tests.graph.models import outputs_of, parsed

TINY = """<ir_version: 8, opset_import: ["" : 17]>
tiny (float[N,4] x) => (float[N,4] y) <float[4] w = {1, 2, 3, 4}> { y = Mul(x, w) }"""


def with_data_file(folder: Path, location: str = "weights.bin", elements: int = 1000) -> Path:
    """Write a model whose weight lies in a data file, and return its path."""
    proto = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["" : 17]>
        m (float[N,{elements}] x) => (float[N,{elements}] y) {{ y = Add(x, w) }}"""
    )
    weight = onnx.numpy_helper.from_array(np.arange(elements, dtype=np.float32), "w")
    (folder / "weights.bin").write_bytes(weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(4 * elements))):
        weight.external_data.add(key=key, value=value)
    proto.graph.initializer.append(weight)
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def open_files() -> int:
    """Return how many files this process has open, or 0 where the system does not say."""
    listing = Path("/proc/self/fd")
    return len(list(listing.iterdir())) if listing.exists() else 0


def test_a_file_and_its_bytes_load_to_the_same_model(tmp_path):
    data = onnx.parser.parse_model(TINY).SerializeToString()
    path = tmp_path / "tiny.onnx"
    path.write_bytes(data)
    from_path, from_bytes = load(path), load(data)
    assert from_path.path == path
    assert from_bytes.path is None
    assert str(from_path.inputs[0]) == "x: float32[N, 4]"
    feeds = {"x": np.ones((2, 4), np.float32)}
    assert np.array_equal(outputs_of(from_path, feeds)["y"], outputs_of(from_bytes, feeds)["y"])


def test_a_string_path_loads(tmp_path):
    path = tmp_path / "tiny.onnx"
    path.write_bytes(onnx.parser.parse_model(TINY).SerializeToString())
    assert load(str(path)).outputs == ("y",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"this is text, not a model", "no ONNX model"),
        (b"\x08\x08", "no ONNX model"),
        (onnx.parser.parse_model(TINY).SerializeToString()[:-7], "no ONNX model"),
    ],
)
def test_content_that_is_no_model_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_beyond_the_limit_of_protobuf_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(2**31 + 1)  # takes no space on disk
    with pytest.raises(ModelError, match="external data"):
        load(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        load(tmp_path / "nowhere.onnx")
    with pytest.raises(ModelError, match="directory"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ("g (float[N,4] x) => () { y = Relu(x) }", "no outputs"),
        ("g () => (float[4] y) { y = Constant<value = float[4] {1, 2, 3, 4}>() }", "no inputs"),
        ("g (float[N,4] x) => (float[N,4] y) { y = Relu(missing) }", "missing"),
        ("g (float[N,4] x) => (float[N,4] y) { y = Relu(t)  t = Relu(y) }", "cycle"),
        ("g (float[N,4] x) => (float[N,4] y) { y = Rleu(x) }", "Rleu"),
        ("g (seq(float[N]) x) => (float[N] y) { i = Constant<value_int = 0>()  y = SequenceAt(x, i) }", "no tensor"),
    ],
)
def test_a_graph_that_cannot_be_run_is_refused_with_the_reason(graph, message):
    data = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {graph}').SerializeToString()
    with pytest.raises(ModelError, match=message) as caught:
        load(data)
    assert "\n" not in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damaged_bytes_never_end_in_another_error(data):
    content = bytearray(onnx.parser.parse_model(TINY).SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ModelError):
        load(bytes(content[: data.draw(st.integers(0, len(content)))]))


def test_a_weight_with_too_few_bytes_is_named():
    proto = onnx.parser.parse_model(TINY)
    proto.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.ones(4, np.float32), "w"))
    proto.graph.initializer[0].dims[0] = 5
    with pytest.raises(ModelError, match="tensor 'w' is damaged"):
        load(proto.SerializeToString())


def test_nodes_out_of_order_are_put_in_order():
    model = parsed("g (float[N,4] x) => (float[N,4] y) { y = Relu(t)  t = Neg(x) }")
    assert [node.op_type for node in model.graph] == ["Neg", "Relu"]


def test_functions_of_the_model_are_inlined():
    data = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 17, "own" : 1]>
    g (float[N,4] x) => (float[N,4] y) { t = own.twice(x)  y = own.twice(t) }
    <domain: "own", opset_import: ["" : 17]> twice (x) => (y) { y = Add(x, x) }""").SerializeToString()
    model = load(data)
    assert [node.op_type for node in model.graph] == ["Add", "Add"]
    assert outputs_of(model, {"x": np.ones((1, 4), np.float32)})["y"].tolist() == [[4, 4, 4, 4]]


def test_a_data_file_is_mapped_and_outlives_its_replacement(tmp_path):
    path = with_data_file(tmp_path)
    model = load(path)
    tensor = model.graph.initializers["w"].const_value
    assert tensor is not None
    (tmp_path / "weights.bin").unlink()
    assert np.array_equal(tensor.numpy(), np.arange(1000, dtype=np.float32))
    assert outputs_of(model, {"x": np.ones((1, 1000), np.float32)})["y"][0, 999] == 1000


def test_a_data_file_in_a_constant_node_is_mapped(tmp_path):
    path = with_data_file(tmp_path)
    proto = onnx.load_model(path, load_external_data=False)
    weight = proto.graph.initializer.pop()
    node = proto.graph.node.add(op_type="Constant", output=["w"])
    node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(weight)
    path.write_bytes(proto.SerializeToString())
    feeds = {"x": np.zeros((1, 1000), np.float32)}
    assert np.array_equal(outputs_of(load(path), feeds)["y"][0], np.arange(1000))


@pytest.mark.parametrize("location", ["../weights.bin", "", "sub/../../weights.bin"])
def test_a_data_file_outside_the_folder_is_refused(tmp_path, location):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "weights.bin").write_bytes(bytes(4000))
    with pytest.raises(ModelError, match=r"outside the model's folder|cannot be read") as caught:
        load(with_data_file(folder, location))
    assert "'w'" in str(caught.value)


def test_an_absolute_data_file_is_refused_even_inside_the_folder(tmp_path):
    with pytest.raises(ModelError, match="outside"):
        load(with_data_file(tmp_path, str(tmp_path / "weights.bin")))


def test_a_link_that_leaves_the_folder_is_refused_and_one_that_stays_is_followed(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    path = with_data_file(folder, "link.bin")
    (tmp_path / "secret").write_bytes(bytes(4000))
    (folder / "link.bin").symlink_to(tmp_path / "secret")
    with pytest.raises(ModelError, match="outside"):
        load(path)
    (folder / "link.bin").unlink()
    (folder / "link.bin").symlink_to("weights.bin")
    assert load(path).graph.initializers["w"].const_value is not None


def test_a_missing_short_or_empty_data_file_is_named(tmp_path):
    path = with_data_file(tmp_path)
    for size, message in ((3999, "truncated"), (0, "empty"), (None, "No such file")):
        (tmp_path / "weights.bin").unlink()
        if size is not None:
            (tmp_path / "weights.bin").write_bytes(bytes(size))
        with pytest.raises(ModelError, match=message) as caught:
            load(path)
        assert "weights.bin" in str(caught.value)
        assert "'w'" in str(caught.value)
        (tmp_path / "weights.bin").touch()


def test_bytes_with_a_data_file_ask_for_the_path(tmp_path):
    with pytest.raises(ModelError, match="load the model from its path"):
        load(with_data_file(tmp_path).read_bytes())


def test_many_tensors_of_one_data_file_open_it_once(tmp_path):
    path = with_data_file(tmp_path)
    proto = onnx.load_model(path, load_external_data=False)
    for number in range(50):
        proto.graph.initializer.add().CopyFrom(proto.graph.initializer[0])
        proto.graph.initializer[-1].name = f"w{number}"
    path.write_bytes(proto.SerializeToString())
    before = open_files()
    model = load(path)
    after = open_files()
    assert len(model.graph.initializers) == 51
    assert after - before <= 1
