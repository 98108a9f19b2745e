from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from quantlab.errors import ModelError
from quantlab.graph import save as save_module
from quantlab.graph.load import load
from quantlab.graph.model import Model
from quantlab.graph.save import needs_external_data, save, to_bytes
from tests.graph.models import outputs_of, parsed, weight

FEEDS = {"x": np.linspace(-1, 1, 2 * 600, dtype=np.float32).reshape(2, 600)}


def big(opset: int = 17) -> Model:
    """Return a model whose one large weight is worth a data file."""
    values = np.random.default_rng(0).normal(size=(600, 300)).astype(np.float32)
    return parsed("big (float[N,600] x) => (float[N,300] y) { y = MatMul(x, w) }", opset, w=values)


@pytest.fixture
def tiny_limit(monkeypatch):
    """Make 200 kB the most that protobuf holds."""
    monkeypatch.setattr(save_module, "PROTOBUF_LIMIT_BYTES", 200_000)
    monkeypatch.setattr(save_module, "_HEADROOM_BYTES", 10_000)


def test_a_model_survives_being_saved_and_loaded(tmp_path):
    model = big(opset=15)
    save(model, tmp_path / "m.onnx")
    again = load(tmp_path / "m.onnx")
    assert (again.opset, again.ir_model.ir_version) == (15, 8)
    assert np.array_equal(outputs_of(again, FEEDS)["y"], outputs_of(model, FEEDS)["y"])
    assert [file.name for file in tmp_path.iterdir()] == ["m.onnx"]


def test_the_bytes_of_a_model_are_the_same_every_time():
    assert to_bytes(big()) == to_bytes(big())


@pytest.mark.usefixtures("tiny_limit")
def test_a_model_beyond_the_limit_writes_its_weights_beside_it(tmp_path):
    model = big()
    assert needs_external_data(model)
    with pytest.raises(ModelError, match="save it to a path"):
        to_bytes(model)
    save(model, tmp_path / "m.onnx")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.onnx", "m.onnx.data"]
    assert (tmp_path / "m.onnx").stat().st_size < 10_000
    assert np.array_equal(weight(load(tmp_path / "m.onnx"), "w"), weight(model, "w"))
    assert not isinstance(model.graph.initializers["w"].const_value, ir.ExternalTensor)


@pytest.mark.usefixtures("tiny_limit")
def test_a_model_may_be_saved_over_the_files_it_was_loaded_from(tmp_path):
    expected = weight(big(), "w")
    save(big(), tmp_path / "m.onnx")
    loaded = load(tmp_path / "m.onnx")
    for _ in range(2):
        save(loaded, tmp_path / "m.onnx")
        assert np.array_equal(weight(loaded, "w"), expected)
        assert np.array_equal(weight(load(tmp_path / "m.onnx"), "w"), expected)


def test_weights_from_a_data_file_move_into_a_file_that_holds_them(tmp_path, monkeypatch):
    monkeypatch.setattr(save_module, "PROTOBUF_LIMIT_BYTES", 0)
    save(big(), tmp_path / "m.onnx")
    loaded = load(tmp_path / "m.onnx")
    monkeypatch.undo()
    (tmp_path / "alone").mkdir()
    save(loaded, tmp_path / "alone" / "m.onnx")
    assert [file.name for file in (tmp_path / "alone").iterdir()] == ["m.onnx"]
    assert np.array_equal(outputs_of(load(tmp_path / "alone" / "m.onnx"), FEEDS)["y"], outputs_of(big(), FEEDS)["y"])


@pytest.mark.usefixtures("tiny_limit")
@pytest.mark.parametrize("failing", ["m.onnx", "m.onnx.data"])
def test_a_full_disk_leaves_the_old_files_and_nothing_else(tmp_path, monkeypatch, failing):
    (tmp_path / "m.onnx").write_bytes(b"old")
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        if self.name == failing:
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ModelError, match="No space left on device"):
        save(big(), tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx").read_bytes() == b"old"
    assert not [file for file in tmp_path.iterdir() if file.name not in ("m.onnx", "m.onnx.data")]


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(ModelError, match="nowhere"):
        save(big(), tmp_path / "nowhere" / "m.onnx")


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int64, np.bool_, "bfloat16", "int4"])
@pytest.mark.parametrize("limit", [0, 10**9])
def test_every_type_of_weight_survives(tmp_path, monkeypatch, dtype, limit):
    monkeypatch.setattr(save_module, "PROTOBUF_LIMIT_BYTES", limit)
    monkeypatch.setattr(save_module, "_HEADROOM_BYTES", 0)
    model = big().clone()
    named = {"bfloat16": ir.DataType.BFLOAT16, "int4": ir.DataType.INT4}
    kind = named.get(str(dtype)) or ir.DataType.from_numpy(np.dtype(dtype))
    array = (np.arange(3000) % 7).reshape(30, 100).astype(kind.numpy())
    value = ir.Value(name="extra", const_value=ir.Tensor(array, dtype=kind, name="extra"))
    model.graph.register_initializer(value)
    save(model, tmp_path / "m.onnx")
    again = load(tmp_path / "m.onnx").graph.initializers["extra"].const_value
    assert again is not None
    assert again.dtype == kind
    assert np.array_equal(again.numpy().astype(np.float64), array.astype(np.float64))
