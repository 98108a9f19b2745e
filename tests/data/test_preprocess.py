from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from quantlab.data.batch import InputSpec
from quantlab.data.preprocess import PRESETS, Preprocess, assumed_preprocess
from quantlab.errors import DataError, RecipeError


def image_input(*shape: int | str | None, dtype: Any = np.float32) -> InputSpec:
    return InputSpec("x", np.dtype(dtype), shape)


def test_the_table_holds_the_formula_rounded_once():
    preset = PRESETS["imagenet"]
    for channel in range(3):
        exact = [(level * (1 / 255) - preset.mean[channel]) / preset.std[channel] for level in range(256)]
        np.testing.assert_array_equal(preset.table[channel], np.array(exact).astype(np.float32))


@pytest.mark.parametrize(
    ("preset", "limits"), [("raw", (0, 255)), ("unit", (0, 1)), ("signed", (-1, 1)), ("imagenet", (-2.117904, 2.64))]
)
def test_presets_have_the_limits_their_names_promise(preset, limits):
    # float32 keeps seven digits
    np.testing.assert_allclose(Preprocess.named(preset).limits, limits, atol=1e-6)


@pytest.mark.parametrize("preprocess", [*PRESETS.values(), Preprocess(resize=(9, 8), crop=(7, 6), channels="GRAY")])
def test_settings_survive_json(preprocess):
    assert Preprocess.from_dict(json.loads(json.dumps(preprocess.to_dict()))) == preprocess


def test_a_toml_table_changes_a_preset():
    table = tomllib.loads('preset = "imagenet"\ncrop = 224\nresize = 256\nstd = 0.25\nlayout = "NHWC"')
    expected = replace(PRESETS["imagenet"], crop=(224, 224), resize=256, std=(0.25,), layout="NHWC")
    assert Preprocess.from_dict(table) == expected


def test_bgr_takes_the_values_of_a_preset_in_its_own_order():
    assert Preprocess.from_dict({"preset": "imagenet", "channels": "BGR"}).mean == (0.406, 0.456, 0.485)


@pytest.mark.parametrize(
    "settings",
    [
        {"std": 0},
        {"std": [1, -1, 1]},
        {"std": ["a", "b", "c"]},
        {"mean": [1, 2]},
        {"mean": "abc"},
        {"mean": float("nan")},
        {"resize": "a"},
        {"resize": 0},
        {"resize": [1, 2, 3]},
        {"resize": True},
        {"crop": 1.5},
        {"crop": [0, 4]},
        {"scale": 0},
        {"scale": "1"},
        {"layout": "CHW"},
        {"channels": "RGBA"},
        {"interpolation": "cubic"},
        {"crop_fraction": 1.5},
        {"channels": "GRAY", "preset": "imagenet"},
    ],
)
def test_a_setting_out_of_its_limits_is_named(settings):
    key = next(iter(settings))
    with pytest.raises(RecipeError, match=f"preprocessing: {'mean' if 'preset' in settings else key} is"):
        Preprocess.from_dict(settings)


def test_unknown_settings_and_presets_are_refused_with_the_known_ones():
    with pytest.raises(RecipeError, match="no setting 'size'; it has preset, resize"):
        Preprocess.from_dict({"size": 3})
    with pytest.raises(RecipeError, match="'inception' is unknown; choose one of imagenet"):
        Preprocess.named("inception")


def test_sizes_that_are_not_given_come_from_the_model():
    fitted = PRESETS["imagenet"].fitted_to(image_input("N", 3, 224, 224))
    assert (fitted.resize, fitted.crop) == (256, (224, 224))
    fitted = Preprocess(layout="NHWC").fitted_to(image_input(1, 32, 48, 3))
    assert (fitted.resize, fitted.crop) == (48, (32, 48))


def test_sizes_that_are_given_are_kept():
    fitted = Preprocess(resize=300).fitted_to(image_input("N", 3, 224, 224))
    assert (fitted.resize, fitted.crop) == (300, (224, 224))
    assert Preprocess(crop=(8, 8)).fitted_to(image_input("N", 3, 8, 8)).resize is None


def test_free_height_and_width_leave_images_their_size():
    fitted = PRESETS["imagenet"].fitted_to(image_input("N", 3, "H", "W"))
    assert (fitted.resize, fitted.crop) == (None, None)


@pytest.mark.parametrize(
    ("preprocess", "spec", "message"),
    [
        (Preprocess(), image_input("N", 1, 8, 8), "gives 3 channels.* set channels=GRAY"),
        (Preprocess(layout="NHWC"), image_input("N", 3, 8, 8), "gives 3 channels.* set layout=NCHW"),
        (PRESETS["imagenet"], image_input("N", 8, 8, 3), "gives 3 channels.* set layout=NHWC"),
        (Preprocess(channels="GRAY"), image_input("N", 3, 8, 8), "gives 1 channels.* set channels=RGB"),
        (Preprocess(), image_input("N", 5, 8, 8), "gives 3 channels.* give arrays instead"),
        (PRESETS["imagenet"], image_input("N", 3, 8, 8, dtype=np.uint8), "gives fractions.* use the preset raw"),
        (Preprocess(crop=(9, 9)), image_input("N", 3, 8, 8), "crops to 9×9"),
        (Preprocess(), image_input("N", 192), "an image has channels, height and width"),
    ],
)
def test_settings_that_contradict_the_model_are_refused(preprocess, spec, message):
    with pytest.raises(DataError, match=message):
        preprocess.fitted_to(spec)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (image_input("N", 3, 8, 8), PRESETS["imagenet"]),
        (image_input("N", 8, 8, 3), replace(PRESETS["imagenet"], layout="NHWC")),
        (image_input("N", 1, 8, 8), Preprocess(channels="GRAY")),
        (image_input("N", 3, 8, 8, dtype=np.uint8), PRESETS["raw"]),
        (InputSpec("x", np.dtype(np.float32), None), PRESETS["imagenet"]),
    ],
)
def test_what_is_assumed_follows_from_the_input(spec, expected):
    assert assumed_preprocess(spec) == expected


def test_nothing_is_assumed_for_other_numbers_of_channels():
    with pytest.raises(DataError, match="images have 1 or 3 channels"):
        assumed_preprocess(image_input("N", 4, 8, 8))


def test_it_prints_as_a_sentence_would_say_it():
    fitted = PRESETS["imagenet"].fitted_to(image_input("N", 3, 224, 224))
    assert str(fitted) == (
        "resize shorter side to 256 (bilinear), centre crop 224×224, RGB / 255, mean 0.485 0.456 0.406, "
        "std 0.229 0.224 0.225, NCHW, values -2.12 to 2.64"
    )
