"""State dicts of pytorch-quantization give the same scales, however torch exported the model."""

from __future__ import annotations

import io
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from quantlab.affine import quantize
from quantlab.errors import CalibrationError
from quantlab.graph.export_torch import export_torch
from quantlab.graph.load import load
from quantlab.graph.model import Model
from quantlab.interop.amax_table import AmaxTable, read_amax
from quantlab.interop.pytorch_quantization import import_amax, scope_of

torch = pytest.importorskip("torch", reason="the package torch is not installed")
pytestmark = pytest.mark.torch
LEVELS = np.float32(127)


class Block(torch.nn.Module):  # type: ignore[misc, name-defined]
    """A residual block whose skip passes a convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(outputs)
        self.downsample = torch.nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Any) -> Any:
        return torch.relu(self.bn1(self.conv1(x)) + self.downsample(x))


class Net(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Two blocks, a matrix product of rows and one of matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = torch.nn.Sequential(Block(16, 16), Block(16, 32))
        self.rows = torch.nn.Linear(32, 64)
        self.fc = torch.nn.Linear(64, 64)

    def forward(self, x: Any) -> Any:
        x = self.layer1(x)
        return self.fc(self.rows(x.flatten(2).transpose(1, 2)))


def input_name(node: ir.Node, index: int) -> str:
    value = node.inputs[index]
    assert value is not None
    return value.name or ""


QUANTIZED = ["layer1.0.conv1", "layer1.0.downsample", "layer1.1.conv1", "layer1.1.downsample", "rows", "fc"]


@pytest.fixture(scope="module")
def net() -> Any:
    torch.manual_seed(0)
    net = Net().eval()
    for part in net.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(part.weight, 0.5, 2.0)
            part.running_var.uniform_(0.5, 2.0)
    return net


@pytest.fixture(scope="module")
def state(net: Any) -> OrderedDict[str, Any]:
    """The state dict as pytorch-quantization saves it after calibration."""
    state = OrderedDict(net.state_dict())
    for index, module in enumerate(QUANTIZED):
        weight = state[f"{module}.weight"]
        others = tuple(range(1, weight.ndim))
        state[f"{module}._input_quantizer._amax"] = torch.tensor(1.0 + 0.1 * index)
        state[f"{module}._weight_quantizer._amax"] = weight.abs().amax(others, keepdim=True)
    for index in (0, 1):
        state[f"layer1.{index}.residual_quantizer._amax"] = torch.tensor(3.0 + index)
    return state


@pytest.fixture
def table(state: OrderedDict[str, Any], tmp_path: Path) -> AmaxTable:
    torch.save(state, tmp_path / "state.pth")
    return read_amax(tmp_path / "state.pth")


@pytest.fixture(scope="module")
def exports(net: Any) -> dict[str, Model]:
    image, target = torch.randn(2, 16, 8, 8), io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (image,), target, dynamo=False)
    return {"dynamo": export_torch(net, image), "torchscript": load(target.getvalue())}


@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
def test_inputs_get_the_scales_of_their_quantizers(exporter, exports, table):
    imported = import_amax(table, exports[exporter])
    assert set(imported.nodes) == set(QUANTIZED)
    assert not imported.unusable
    plan, encodings = imported.migration.plan, imported.migration.encodings
    nodes = imported.migration.model.nodes_by_name()
    for index, module in enumerate(QUANTIZED):
        tensor = input_name(nodes[imported.nodes[module]], 0)
        # Two convolutions read one tensor: it gets the larger of their ranges.
        amax = 1.0 + 0.1 * (index + 1 if module.endswith("conv1") else index)
        owner = plan.by_tensor[tensor].shared_with or tensor
        assert encodings[owner].scale == np.float32(amax) / LEVELS


@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
def test_weights_have_the_integers_of_the_unfolded_ones(exporter, exports, table, net):
    imported = import_amax(table, exports[exporter])
    model, encodings = imported.migration.model, imported.migration.encodings
    for module in ("layer1.0.conv1", "layer1.1.downsample", "fc"):
        node = model.nodes_by_name()[imported.nodes[module]]
        name = input_name(node, 1)
        folded = quantize(model.constant(name), encodings[name]).astype(int)
        weight = net.get_submodule(module).weight.detach().numpy()
        scale = table.amax[module, "weight_quantizer"] / LEVELS
        integers = np.rint(weight / scale).astype(int)
        integers = integers.T if module == "fc" and encodings[name].scheme.axis == 1 else integers
        # A folded batch norm multiplies weight and scale, each rounded once: only ties may end a step apart.
        assert np.abs(folded - integers).max() <= 1
        assert np.mean(folded != integers) < 0.001


def test_a_residual_quantizer_is_found_by_its_scope(exports, table):
    imported = import_amax(table, exports["torchscript"])
    assert not imported.unknown
    assert not imported.missing
    scales = [float(encoding.scale) for encoding in imported.migration.encodings.values() if encoding.scale.ndim == 0]
    assert np.float32(3.0) / LEVELS in scales
    assert np.float32(4.0) / LEVELS in scales


def test_what_has_no_node_is_reported_and_what_lacks_a_scale_stays_float(exports, table):
    imported = import_amax(table, exports["dynamo"])  # its nodes know no scopes
    assert imported.unknown == ("layer1.0.residual_quantizer", "layer1.1.residual_quantizer")
    assert len(imported.missing) == 2
    assert "not in the model: layer1.0.residual_quantizer" in str(imported)


@pytest.mark.parametrize("level", ["state_dict", "model"])
def test_checkpoints_keep_the_state_dict_a_level_down(level, state, tmp_path):
    prefixed = OrderedDict((f"module.{name}", value) for name, value in state.items())
    torch.save({"epoch": 3, "optimizer": {"state": {}}, level: prefixed}, tmp_path / "c.pth")
    assert ("layer1.0.conv1", "input_quantizer") in read_amax(tmp_path / "c.pth").amax


def test_quantizers_of_modelopt_have_no_underscore(state, tmp_path):
    torch.save(
        {name.replace("._", ".", 1): value for name, value in state.items() if "_quantizer" in name}, tmp_path / "c.pth"
    )
    assert ("fc", "weight_quantizer") in read_amax(tmp_path / "c.pth").amax


def test_a_dead_quantizer_is_reported(exports, table):
    dead = AmaxTable({**table.amax, ("fc", "input_quantizer"): np.zeros((), np.float32)}, table.weights)
    imported = import_amax(dead, exports["torchscript"])
    assert imported.unusable == ("fc.input_quantizer",)
    assert "/fc/MatMul" in imported.migration.kept_float


def test_a_checkpoint_of_another_model_is_refused(exports):
    other = AmaxTable({("encoder", "input_quantizer"): np.ones((), np.float32)}, {})
    with pytest.raises(CalibrationError, match=r"'encoder\.input_quantizer'"):
        import_amax(other, exports["dynamo"])


def test_a_float_checkpoint_has_no_quantizers(net, tmp_path):
    torch.save(net.state_dict(), tmp_path / "c.pth")
    with pytest.raises(CalibrationError, match=r"no tensor is called \*_quantizer\._amax"):
        read_amax(tmp_path / "c.pth")


def test_a_pickled_module_is_refused_unread(net, tmp_path):
    torch.save(net, tmp_path / "net.pth")
    with pytest.raises(CalibrationError, match=r"no state dict can be read"):
        read_amax(tmp_path / "net.pth")
    with pytest.raises(CalibrationError, match=r"no state dict can be read"):
        read_amax(tmp_path / "none.pth")


@pytest.mark.parametrize(
    ("node", "module"),
    [
        ("/layer1/layer1.0/conv1/Conv", "layer1.0.conv1"),
        ("/backbone/layer4/layer4.2/downsample/downsample.0/Conv_1", "backbone.layer4.2.downsample.0"),
        ("/fc/Gemm", "fc"),
        ("/Conv", None),
        ("node_conv2d", None),
    ],
)
def test_the_scope_of_a_node_is_its_module(node, module):
    assert scope_of(node) == module
