from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab.calibrators import CALIBRATORS
from quantlab.errors import RecipeError
from quantlab.recipe import Recipe
from quantlab.targets import TARGETS

BUILT = {"targets": ("tensorrt",), "build": True}

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)


@given(
    st.builds(
        Recipe,
        model=words,
        data=words,
        eval_data=st.none() | words,
        samples=st.integers(1, 10**6),
        eval_samples=st.none() | st.integers(1, 10**6),
        calibrator=st.sampled_from(sorted(CALIBRATORS)),
        targets=st.lists(st.sampled_from(sorted(TARGETS)), min_size=1, unique=True).map(tuple),
        keep_float=st.lists(words, max_size=3).map(tuple),
        latency_batches=st.lists(st.integers(1, 64), max_size=3).map(tuple),
        threads=st.none() | st.integers(1, 64),
        seed=st.integers(0, 2**31),
        fp16=st.booleans(),
    )
)
def test_a_recipe_that_is_saved_reads_back_equal(recipe):
    assert Recipe.from_toml(recipe.to_toml()) == recipe


def test_calibrator_options_and_preprocessing_read_back():
    recipe = Recipe(
        calibrator="percentile",
        calibrator_options={"percentile": 99.9},
        preprocess={"preset": "imagenet", "resize": 256},
    )
    assert Recipe.from_toml(recipe.to_toml()) == recipe


def test_how_to_build_reads_back_and_becomes_settings():
    options = {"shapes": ["x:1x3,2x3,4x3"], "compute_capabilities": ["8.9"], "timing_cache": "c", "timeout_s": 60}
    recipe = Recipe(targets=("tensorrt",), build=True, build_options=options)
    assert Recipe.from_toml(recipe.to_toml()) == recipe
    settings = recipe.build_settings()
    assert str(settings.shapes["x"]) == "1x3,2x3,4x3"
    assert (settings.compute_capabilities, settings.timing_cache, settings.timeout_s) == (("8.9",), Path("c"), 60)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"calibrator": "entrpy"}, "did you mean 'entropy'"),
        ({"targets": ("tensorrrt",)}, "did you mean 'tensorrt'"),
        ({"targets": ()}, "at least one"),
        ({"targets": ("tensorrt", "tensorrt")}, "twice"),
        ({"weight_ranges": "max"}, "absmax, mse"),
        ({"weight_scales": "one"}, "per-channel, per-tensor"),
        ({"weight_scales": "per-tensor"}, "for the target tensorrt only"),
        ({"build": True}, "of the model for the target tensorrt"),
        ({"build_options": {"runtime": "tensorrt"}}, "runtime without build"),
        ({**BUILT, "build_options": {"runtme": "tensorrt"}}, "did you mean 'runtime'"),
        ({**BUILT, "build_options": {"workspace_mb": True}}, "workspace_mb: True is not of type int"),
        ({**BUILT, "build_options": {"timeout_s": "1"}}, "timeout_s: '1' is not of type float"),
        ({**BUILT, "build_options": {"plugins": "a.so"}}, "plugins: 'a.so' is not a list of texts"),
        ({**BUILT, "build_options": {"compute_capabilities": ["89"]}}, "such as 8.9"),
        ({**BUILT, "build_options": {"shapes": ["x=1"]}}, "build_options: --shape 'x=1'"),
        ({"samples": 0}, "samples: 0"),
        ({"eval_samples": 0}, "eval_samples: 0"),
        ({"batch_size": -1}, "batch_size: -1"),
        ({"threads": 0}, "threads: 0"),
        ({"latency_batches": (0,)}, "latency_batches: 0"),
        ({"calibrator": "minmax", "calibrator_options": {"percentile": 99.0}}, "no setting 'percentile'"),
        ({"samples": "3"}, "samples: '3' is not of type int"),
        ({"samples": 2.5}, "samples: 2.5 is not of type int"),
        ({"targets": "onnxruntime"}, r"one value; give a tuple of them, \('onnxruntime',\)"),
        ({"keep_float": "head.*"}, "keep_float: .* is one value"),
        ({"latency_batches": 4}, "latency_batches: 4 is one value"),
        ({"latency_batches": ("1",)}, "latency_batches: '1' is not of type int"),
        ({"calibrater": "minmax"}, "did you mean 'calibrator'"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_to_write_instead(settings, complaint):
    with pytest.raises(RecipeError, match=complaint):
        Recipe.of(settings)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("samples = ", "net.toml: not TOML"),
        ("sample = 3", "did you mean 'samples'"),
        ("samples = '3'", "net.toml: samples: '3' is not of type int"),
        ("samples = true", "not of type int"),
        ("build = 1", "net.toml: build: 1 is not of type bool"),
        ("targets = 'onnxruntime'", "targets"),
        ("targets = [1]", "every item"),
        ("samples = 0", "net.toml: samples: 0"),
    ],
)
def test_a_wrong_recipe_file_names_the_file_and_the_setting(tmp_path, text, complaint):
    path = tmp_path / "net.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=complaint):
        Recipe.load(path)


def test_a_file_that_is_no_recipe_is_told_from_one_that_is_missing(tmp_path):
    (tmp_path / "samples.npz").write_bytes(b"\x96\xff")
    for name, complaint in (
        ("none.toml", "no such file"),
        ("", "this is a folder"),
        ("samples.npz", "this is no text"),
    ):
        with pytest.raises(RecipeError, match=complaint):
            Recipe.load(tmp_path / name)


def test_counts_may_be_integers_of_numpy():
    recipe = Recipe.of({"samples": np.int64(3), "latency_batches": (np.int32(2),)})
    assert Recipe.from_toml(recipe.to_toml()) == recipe
