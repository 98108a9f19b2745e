from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the torch extra")
pytestmark = pytest.mark.torch

from quantlab.data.preprocess import Preprocess  # noqa: E402 - after the check for torch
from quantlab.errors import EngineMissing, ModelError  # noqa: E402
from quantlab.graph.origin import preprocess_of, random_weights_warning  # noqa: E402
from quantlab.graph.prepare import prepare  # noqa: E402
from quantlab.opening import open_model  # noqa: E402
from quantlab.torchmodels import TorchSettings  # noqa: E402
from tests.graph.models import outputs_of  # noqa: E402
from tests.torchmodels.standins import Tiny, install_timm, install_torchvision  # noqa: E402


@pytest.fixture(autouse=True)
def _packages(monkeypatch: pytest.MonkeyPatch) -> None:
    install_torchvision(monkeypatch)
    install_timm(monkeypatch)


def test_a_network_of_torchvision_comes_with_the_size_and_preprocessing_it_was_published_for():
    model = open_model("torchvision:tiny")
    assert model.name == "torchvision:tiny"
    assert str(model.inputs[0]) == "x: float32[batch, 3, 32, 32]"
    expected = Preprocess(resize=36, mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.2), interpolation="bicubic")
    assert preprocess_of(model) == expected
    assert preprocess_of(prepare(model)) == expected
    exported, images = model.notes
    assert exported.startswith("torchvision:tiny: exported by torch")
    assert exported.endswith("in opset 18, 260 parameters, weights as published")
    assert "resize shorter side to 36 (bicubic)" in images
    assert random_weights_warning(model) is None


def test_a_network_of_timm_comes_with_the_size_and_preprocessing_it_was_published_for():
    model = open_model("timm:tiny.some_tag,num_classes=7")
    assert str(model.inputs[0]) == "x: float32[batch, 3, 32, 32]"
    assert preprocess_of(model) == Preprocess(resize=35, mean=(0.5,) * 3, std=(0.5,) * 3, interpolation="bicubic")
    assert outputs_of(model, {"x": np.ones((2, 3, 32, 32), np.float32)})["output"].shape == (2, 7)


def test_timm_may_squash_and_what_it_does_otherwise_is_left_to_the_user(monkeypatch: pytest.MonkeyPatch):
    install_timm(monkeypatch, crop_mode="squash", crop_pct=1.0)
    squashed = preprocess_of(open_model("timm:tiny"))
    assert squashed is not None
    assert squashed.resize == (32, 32)
    for unknown in ({"crop_mode": "border"}, {"interpolation": "random"}):
        install_timm(monkeypatch, **unknown)
        assert preprocess_of(open_model("timm:tiny")) is None


def test_another_size_is_resized_in_proportion():
    model = open_model("torchvision:tiny", TorchSettings(input_shapes=("1x3x64x64",)))
    assert model.inputs[0].shape == ("batch", 3, 64, 64)
    preprocess = preprocess_of(model)
    assert preprocess is not None
    assert preprocess.resize == 72


def test_height_and_width_stay_free_where_asked():
    model = open_model("torchvision:tiny", TorchSettings(free_axes="size"))
    assert model.inputs[0].shape == ("batch", 3, "x_2", "x_3")
    assert outputs_of(model, {"x": np.ones((3, 3, 20, 24), np.float32)})["output"].shape == (3, 4)


def test_all_axes_are_fixed_and_another_opset_is_written_where_asked():
    model = open_model("torchvision:tiny", TorchSettings(free_axes="none", opset=20, input_shapes=("4x3x16x16",)))
    assert (model.inputs[0].shape, model.opset) == ((4, 3, 16, 16), 20)


def test_outputs_of_a_dictionary_keep_their_names_and_no_backbone_is_fetched():
    assert open_model("torchvision:fcn_tiny").outputs == ("out", "aux")


@pytest.mark.parametrize("package", ["torchvision", "timm"])
def test_weights_of_ones_own_are_loaded(tmp_path: Path, package: str):
    torch.manual_seed(3)
    trained = Tiny(classes=5).eval()
    torch.save(trained.state_dict(), tmp_path / "net.pth")
    settings = TorchSettings(weights=str(tmp_path / "net.pth"))
    model = open_model(f"{package}:tiny,num_classes=5", settings)
    image = torch.randn(2, 3, 32, 32)
    expected = trained(image).detach().numpy()
    got = outputs_of(model, {"x": image.numpy()})["output"]
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert "weights of net.pth: 4 tensors" in model.notes[0]
    with pytest.raises(ModelError, match=r"head\.weight \[5, 8\] for \[4, 8\], head\.bias"):
        open_model(f"{package}:tiny", settings)


def test_random_weights_are_the_same_each_time_and_marked():
    settings = TorchSettings(weights="random")
    first, second = open_model("torchvision:far_away", settings), open_model("torchvision:far_away", settings)
    np.testing.assert_array_equal(first.constant("conv.weight"), second.constant("conv.weight"))
    warning = random_weights_warning(prepare(first))
    assert warning is not None
    assert "random, not trained" in warning


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("torchvision:tinny", "torchvision has no network 'tinny'; did you mean tiny"),
        ("torchvision:qqq", r"torchvision\.models\.list_models\(\) lists them"),
        ("timm:tinny", "timm has no network 'tinny'; did you mean tiny"),
        ("torchvision:far_away", "weights cannot be had .*no network.*--weights FILE, or --weights random"),
        ("timm:far_away", "weights cannot be had .*cannot reach the hub and more\\); give --weights FILE"),
        ("torchvision:unpublished", "publishes no weights for it; give --weights FILE or random"),
        ("torchvision:tiny,clases=3", "cannot be built .*unexpected keyword argument 'clases'.*look at the settings"),
    ],
)
def test_what_cannot_be_built_is_told_with_what_to_do(name: str, complaint: str):
    with pytest.raises(ModelError, match=complaint) as caught:
        open_model(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("package", ["torchvision", "timm", "transformers"])
def test_a_package_that_is_missing_is_named_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch, package: str):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EngineMissing, match=rf"needs the package '{package}', which is not installed: pip install"):
        open_model(f"{package}:resnet")


def test_a_package_that_does_not_fit_torch_is_told(monkeypatch: pytest.MonkeyPatch):
    def fail(name: str) -> Any:
        raise RuntimeError("operator torchvision::nms does not exist\nmore")

    monkeypatch.setattr("quantlab.torchmodels.network.import_module", fail)
    with pytest.raises(EngineMissing, match=r"cannot be imported here \(RuntimeError: operator .* exist\); install"):
        open_model("torchvision:tiny")
