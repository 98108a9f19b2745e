from pathlib import Path

import pytest

from quantlab.commands.settings import calibrator_options, default_folder, latency_batches, preprocess_settings
from quantlab.errors import RecipeError


@pytest.mark.parametrize(
    ("typed", "settings"),
    [
        (None, {}),
        ("imagenet", {"preset": "imagenet"}),
        ("unit, resize=256", {"preset": "unit", "resize": 256}),
        ("resize=256:320,crop=224", {"resize": [256, 320], "crop": 224}),
        ("mean=0.5:0.25:0.5,scale=1", {"mean": [0.5, 0.25, 0.5], "scale": 1}),
        ("channels=BGR", {"channels": "BGR"}),
    ],
)
def test_preprocessing_is_a_preset_and_settings(typed, settings):
    assert preprocess_settings(typed) == settings


@pytest.mark.parametrize("typed", ["", "resize=", "=3", "resize=3,crop", "a,b"])
def test_what_is_neither_is_refused(typed):
    with pytest.raises(RecipeError, match="is not NAME=VALUE"):
        preprocess_settings(typed)


def test_calibrator_options_that_were_not_given_are_left_out():
    assert calibrator_options(percentile=99.9, max_error_ratio=None) == {"percentile": 99.9}


def test_latency_is_measured_at_batch_1_unless_told_otherwise():
    assert latency_batches(None, is_off=False) == (1,)
    assert latency_batches([2, 8], is_off=False) == (2, 8)
    assert latency_batches(None, is_off=True) == ()


@pytest.mark.parametrize(
    ("model", "folder"),
    [
        ("digits", "digits-mse"),
        ("a/b/net.v2.onnx", "net.v2-mse"),
        ("my net!.onnx", "my-net-mse"),
        ("...", "model-mse"),
        ("torchvision:resnet50", "torchvision-resnet50-mse"),
        ("transformers:a/b,depths=[1,2.5]", "transformers-b-mse"),
        ("nets/mine.py:make", "mine-make-mse"),
    ],
)
def test_the_default_folder_is_named_after_model_and_calibrator(model, folder):
    assert default_folder(model, "mse") == Path("runs") / folder
