"""A training as the table `[qat]` of its recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from quantlab.cli import main
from quantlab.errors import RecipeError
from quantlab.graph.save import save
from quantlab.qat.opening import TrainingInputs
from quantlab.qat.recipe_table import settings_of, table_of
from quantlab.qat.settings import QatSettings
from quantlab.recipe import Recipe
from tests.qat.networks import digits, solved_network

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(
    "settings",
    [
        QatSettings(),
        QatSettings(clip_norm=None, features=("a", "b"), train_samples=64, learn_scales=True, optimizer="sgd"),
    ],
)
def test_a_table_reads_back_through_a_file(settings: QatSettings):
    inputs = TrainingInputs(train_data="train.npz", reference="net.onnx")
    recipe = Recipe(qat=table_of(settings, inputs, {"augment": "mine.py:make", "task_loss": None}))
    read = Recipe.from_toml(recipe.to_toml()).qat
    assert settings_of(read) == (settings, inputs)
    assert read["augment"] == "mine.py:make"
    assert "task_loss" not in read


def test_what_has_no_name_is_left_out():
    table = table_of(QatSettings(), TrainingInputs(train_data=np.ones(3)), {})
    assert "train_data" not in table


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({"epoch": 3}, "did you mean 'epochs'"),
        ({"epochs": "3"}, "epochs: '3' is not of type int"),
        ({"epochs": True}, "epochs: True is not of type int"),
        ({"epochs": 0}, "epochs: 0"),
        ({"learn_scales": 1}, "learn_scales: 1 is not of type bool"),
        ({"train_data": 3}, "train_data: 3 is no name"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_name(table: dict[str, object], complaint: str):
    with pytest.raises(RecipeError, match=complaint):
        settings_of(table)


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., int]:
    save(solved_network(), tmp_path / "net.onnx")
    images, labels = digits("train")
    np.savez(tmp_path / "train.npz", image=images[:96], labels=labels[:96])

    def run(*words: str) -> int:
        code = main([*words, "--quiet"])
        capsys.readouterr()
        return code

    return run


def test_a_recipe_repeats_the_training_bit_for_bit(run: Callable[..., int], tmp_path: Path):
    data = str(tmp_path / "train.npz")
    files = ("--model", str(tmp_path / "net.onnx"), "--data", data, "--train-data", data)
    sizes = ("--samples", "32", "--epochs", "1", "--threads", "1", "--device", "cpu", "--no-latency", "--seed", "3")
    assert run("qat", *files, *sizes, "--learn-scales", "--out", str(tmp_path / "first")) == 0
    recipe, again = str(tmp_path / "first" / "recipe.toml"), str(tmp_path / "again")
    assert run("run", recipe, "--out", again, "--dry-run") == 0
    assert not (tmp_path / "again").exists()
    assert run("run", recipe, "--out", again, "--resume") == 0
    name = "model.onnxruntime.int8.onnx"
    assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    recipes = [(tmp_path / folder / "recipe.toml").read_text() for folder in ("first", "again")]
    assert recipes[0] == recipes[1]
    assert "learn_scales = true" in recipes[0]
