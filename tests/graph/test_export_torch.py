from __future__ import annotations

import logging

import numpy as np
import pytest

from quantlab.errors import ModelError
from quantlab.graph.prepare import prepare
from quantlab.graph.save import to_bytes
from tests.graph.models import assert_same_outputs, ops, outputs_of

torch = pytest.importorskip("torch", reason="needs the torch extra")
pytestmark = pytest.mark.torch

from quantlab.graph.export_torch import export_torch  # noqa: E402 - after the check for torch


class Small(torch.nn.Module):  # type: ignore[name-defined, misc]
    """A convolution, a normalization and a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(4)
        self.drop = torch.nn.Dropout(0.5)

    def forward(self, image):
        x = self.drop(torch.relu(self.norm(self.conv(image))))
        return x * torch.sigmoid(x.mean((2, 3), keepdim=True))


class Calling(torch.nn.Module):  # type: ignore[name-defined, misc]
    """A module that calls one function."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.fixture
def small():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return Small()


def test_the_exported_model_computes_what_the_module_does(small):
    model = export_torch(small, torch.randn(1, 3, 8, 8))
    assert str(model.inputs[0]) == "image: float32[batch, 3, 8, 8]"
    assert model.outputs == ("output",)
    assert model.opset == 18
    image = torch.randn(5, 3, 8, 8)
    expected = small.eval()(image).detach().numpy()
    got = outputs_of(model, {"image": image.numpy()})["output"]
    np.testing.assert_allclose(got, expected, atol=1e-5 * np.abs(expected).max(), rtol=0)
    after = prepare(model)
    assert_same_outputs(model, after, {"image": image.numpy()})
    assert ops(after) == ["Conv", "Relu", "GlobalAveragePool", "Sigmoid", "Mul"]


def test_the_module_keeps_its_mode_and_later_training_does_not_reach_the_model(small):
    small.train()
    small.conv.eval()
    model = export_torch(small, torch.randn(2, 3, 8, 8))
    assert [small.training, small.conv.training, small.norm.training] == [True, False, True]
    before = to_bytes(model)
    with torch.no_grad():
        for parameter in small.parameters():
            parameter.zero_()
    assert to_bytes(model) == before


def test_the_exporter_leaves_no_trace(small, capfd):
    level = logging.root.manager.disable
    model = export_torch(small, torch.randn(2, 3, 8, 8))
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")
    assert logging.root.manager.disable == level
    data = to_bytes(model)
    assert b"pkg." not in data
    assert __file__.encode() not in data


def test_axes_are_fixed_as_asked(small):
    fixed = export_torch(small, torch.randn(2, 3, 8, 8), dynamic_axes={})
    assert fixed.inputs[0].shape == (2, 3, 8, 8)


def test_names_and_free_axes_are_taken_as_given(small):
    model = export_torch(
        small,
        [torch.randn(2, 3, 8, 10)],
        input_names=["pixels"],
        output_names=["features"],
        dynamic_axes={"pixels": [0, 2, 3]},
    )
    assert str(model.inputs[0]) == "pixels: float32[batch, 3, pixels_2, pixels_3]"
    assert model.outputs == ("features",)


@pytest.mark.parametrize("batch", [1, 2])
def test_an_axis_that_the_module_fixes_is_told(batch):
    model = export_torch(Calling(lambda x: x.reshape(batch, 12)), torch.randn(batch, 3, 4))
    assert model.inputs[0].shape == (batch, 3, 4)
    assert model.notes == (
        "the module's code fixes an axis that was to stay free, so that all are fixed as in the example",
    )


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (lambda x: {"logits": x * 2, "extra": None, "hidden": (x + 1, x + 2)}, ("logits", "hidden_0", "hidden_1")),
        (lambda x: (x * 2, x + 1), ("output_0", "output_1")),
    ],
)
def test_outputs_are_named_after_their_keys(function, names):
    model = export_torch(Calling(function), torch.randn(2, 3))
    assert model.outputs == names
    assert outputs_of(model, {"x": np.ones((4, 3), np.float32)})[names[0]][0, 0] == 2


def test_inputs_may_be_given_by_name():
    class Two(torch.nn.Module):  # type: ignore[name-defined, misc]
        def forward(self, a, scale=None, b=None):
            return a - b

    model = export_torch(Two(), {"a": torch.ones(2, 3), "b": torch.ones(2, 3)})
    assert [spec.name for spec in model.inputs] == ["a", "b"]
    assert [spec.shape for spec in model.inputs] == [("batch", 3), ("batch", 3)]


def test_an_operator_without_an_onnx_form_is_named_with_its_line():
    def solve(x):
        return torch.linalg.eigh(x @ x.transpose(1, 2))[0]

    with pytest.raises(
        ModelError, match=r"aten\._linalg_eigh has no ONNX form at .*test_export_torch\.py:\d+"
    ) as caught:
        export_torch(Calling(solve), torch.randn(2, 3, 3))
    assert "\n" not in str(caught.value)


def test_a_branch_on_data_is_named_with_its_line():
    def branch(x):
        return x * 2 if x.sum() > 0 else x

    with pytest.raises(ModelError, match=r"test_export_torch\.py:\d+ `return x \* 2 if") as caught:
        export_torch(Calling(branch), torch.randn(2, 3))
    assert "\n" not in str(caught.value)


def test_inputs_that_the_module_does_not_take_are_told_in_one_line(small):
    with pytest.raises(ModelError, match="Small: it fails on the example inputs") as caught:
        export_torch(small, torch.randn(2, 5, 8, 8))
    assert "\n" not in str(caught.value)


def test_names_that_do_not_fit_are_refused(small):
    with pytest.raises(ModelError, match="got 2 names for 1 inputs"):
        export_torch(small, torch.randn(2, 3, 8, 8), input_names=["a", "b"])
    with pytest.raises(ModelError, match="there is no input 'other'"):
        export_torch(small, torch.randn(2, 3, 8, 8), dynamic_axes={"other": [0]})


def test_where_the_module_fixes_one_axis_the_batch_stays_free():
    def placed(x):
        return x + torch.ones(3, 8, 8)

    model = export_torch(Calling(placed), torch.randn(1, 3, 8, 8), dynamic_axes={"x": (0, 2, 3)})
    assert model.inputs[0].shape == ("batch", 3, 8, 8)
    assert model.notes == (
        "the module's code fixes axes that were to stay free, as in the example: axis 2 of x, axis 3 of x",
    )


def test_a_batch_of_one_is_no_constant_where_other_axes_are_free_too():
    def tokens(x):
        return x.flatten(2).transpose(1, 2) * torch.ones(x.shape[0], 1, 1)

    model = export_torch(Calling(tokens), torch.randn(1, 3, 8, 8), dynamic_axes={"x": (0, 2, 3)})
    assert outputs_of(model, {"x": np.ones((5, 3, 4, 6), np.float32)})["output"].shape == (5, 24, 3)


@pytest.mark.filterwarnings("default")
def test_all_is_logged_where_the_user_asks_for_it(small, caplog, capfd):
    with caplog.at_level(logging.DEBUG):
        export_torch(small, torch.randn(2, 3, 8, 8))
    assert caplog.records
    assert logging.root.manager.disable == 0
