from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the torch extra")
pytestmark = pytest.mark.torch

from quantlab.errors import ModelError, RecipeError  # noqa: E402 - after the check for torch
from quantlab.opening import check_torch_settings, open_model  # noqa: E402
from quantlab.torchmodels import TorchSettings  # noqa: E402
from tests.graph.models import outputs_of  # noqa: E402

NETS = """
import torch
from torch import nn
from beside import WIDTH

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, WIDTH, 3)
    def forward(self, image, shift=None):
        out = self.conv(image)
        return out if shift is None else out + shift

class Two(nn.Module):
    def forward(self, left, right):
        return {"sum": left + right, "parts": (left * 2, right)}

class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 4)
    def forward(self, ids):
        return self.table(ids).mean(1)

class Branching(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x * 2
        return x

def net(): return Net()
def pair(): return Net(), torch.ones(1, 3, 8, 8)
def two(): return Two(), {"left": torch.ones(1, 3), "right": torch.ones(1, 3)}
def two_alone(): return Two()
def words(): return Words()
def branching(): return Branching(), torch.ones(1, 3)
def nothing(): return 3
def odd(): return Net(), "3x224"
def failing(): raise ValueError("no such file: a.pth")
"""


@pytest.fixture
def nets(tmp_path: Path) -> Path:
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "beside.py").write_text("WIDTH = 5\n")
    return tmp_path / "nets.py"


def opened(nets: Path, function: str, *shapes: str):
    return open_model(f"{nets}:{function}", TorchSettings(input_shapes=shapes))


def test_a_module_is_exported_for_the_shape_that_is_given(nets: Path):
    model = opened(nets, "net", "1x3x8x8")
    assert model.name == f"{nets}:net"
    assert [str(spec) for spec in model.inputs] == ["image: float32[batch, 3, 8, 8]"]
    assert "weights as the function leaves them" in model.notes[0]


def test_example_inputs_of_the_function_do_as_well_and_a_given_shape_comes_before_them(nets: Path):
    assert opened(nets, "pair").inputs[0].shape == ("batch", 3, 8, 8)
    assert opened(nets, "pair", "1x3x6x6").inputs[0].shape == ("batch", 3, 6, 6)


def test_a_class_is_a_function_that_returns_a_module(nets: Path):
    assert opened(nets, "Net", "1x3x8x8").inputs[0].name == "image"


def test_several_inputs_and_nested_outputs_keep_their_names(nets: Path):
    for model in (opened(nets, "two"), opened(nets, "two_alone", "right:1x3", "1x3")):
        assert {spec.name: spec.shape for spec in model.inputs} == {"left": ("batch", 3), "right": ("batch", 3)}
        assert model.outputs == ("sum", "parts_0", "parts_1")
        feeds = {"left": np.full((4, 3), 2, np.float32), "right": np.ones((4, 3), np.float32)}
        assert outputs_of(model, feeds)["sum"][0, 0] == 3


def test_an_optional_input_is_left_out_unless_it_is_named(nets: Path):
    assert len(opened(nets, "net", "1x3x8x8").inputs) == 1
    assert [spec.name for spec in opened(nets, "net", "1x3x8x8", "shift:1x5x1x1").inputs] == ["image", "shift"]


def test_whole_numbers_are_asked_for_by_type(nets: Path):
    model = opened(nets, "words", "ids:1x6:int64")
    assert str(model.inputs[0]) == "ids: int64[batch, 6]"


@pytest.mark.parametrize(
    ("function", "shapes", "complaint"),
    [
        ("net", (), r"nothing tells the shape of its inputs \(image, shift\); give --input-shape NAME:1x3x224x224"),
        ("net", ("pixels:1x3x8x8",), "there is no input 'pixels'; its inputs are image, shift"),
        ("net", ("1x3x8x8", "1", "1"), "more shapes than inputs were given"),
        ("net", ("1x4x8x8",), "Net: it fails on the example inputs"),
        ("words", ("1x6",), "Words: it fails on the example inputs"),
        ("nothing", (), r"got a int, not a torch module; return the module, or \(module, example inputs\)"),
        ("odd", (), "the example inputs are a str; give a tensor"),
        ("failing", (), "the function raised ValueError: no such file: a.pth"),
        ("absent", (), "has no function 'absent'; it has .*branching"),
        ("branching", (), r"Branching: torch cannot export it at .*nets\.py:\d+ `if x\.sum\(\) > 0:`"),
    ],
)
def test_what_cannot_be_exported_is_told_with_what_to_do(nets: Path, function: str, shapes: tuple[str, ...], complaint):
    with pytest.raises(ModelError, match=complaint) as caught:
        opened(nets, function, *shapes)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(ModelError, match=r"nowhere\.py:net: there is no file nowhere\.py"):
        open_model("nowhere.py:net")


def test_a_module_from_python_is_exported_too(nets: Path):
    linear = torch.nn.Linear(3, 2)
    assert str(open_model((linear, torch.ones(1, 3))).inputs[0]) == "input: float32[batch, 3]"
    model = open_model(linear, TorchSettings(input_shapes=("1x3",)))
    assert model.name == "Linear"
    with pytest.raises(ModelError, match="nothing tells the shape of its inputs"):
        open_model(linear)


def test_settings_of_torch_models_are_refused_where_no_model_takes_them():
    with pytest.raises(RecipeError, match="weights, opset: only torch models take this, and 'digits' is none"):
        check_torch_settings(["digits"], TorchSettings(weights="a.pth", opset=18))
    check_torch_settings(["digits", "timm:resnet18"], TorchSettings(opset=18))
    check_torch_settings([torch.nn.Linear(1, 1)], TorchSettings(opset=18))
