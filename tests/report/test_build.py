import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import quantlab
from quantlab.errors import ModelError
from quantlab.pipeline import run_recipe
from quantlab.recipe import Recipe
from quantlab.report.report import Report
from tests.runs import UNTIMED, classifier, images, labels, write_files


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run from files, on labelled samples, for two targets."""
    folder = tmp_path_factory.mktemp("run")
    model, data = write_files(folder)
    recipe = Recipe(**{**UNTIMED, "model": str(model), "data": str(data), "targets": ("onnxruntime", "tensorrt")})
    run_recipe(recipe, out=folder / "out", command=["quantlab", "ptq", f"--model={model}"])
    return folder


@pytest.fixture(scope="module")
def report(folder: Path) -> Report:
    return Report.load(folder / "out")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_files_are_those_beside_the_report_with_their_hashes(folder, report):
    out = folder / "out"
    beside = {path.name for path in out.iterdir()} - {"report.json", "report.html", "state.json"}
    assert set(report.content["files"]) == beside
    for name, entry in report.content["files"].items():
        assert entry == {"size_bytes": (out / name).stat().st_size, "sha256": sha256(out / name)}


def test_the_model_is_told_by_name_and_by_the_hash_of_its_file(folder, report):
    assert report.content["model"]["name"] == "net.onnx"
    assert report.content["model"]["sha256"] == sha256(folder / "net.onnx")


def test_the_samples_and_the_command_are_told(report):
    samples = report.content["samples"]
    assert (samples["calibration"], samples["evaluation"], samples["labelled"]) == (16, 8, 8)
    assert samples["note"].startswith("Calibrated on the first 16 samples")
    assert report.content["command"][:2] == ["quantlab", "ptq"]


def test_paths_below_the_working_folder_are_told_relative_to_it(tmp_path, monkeypatch):
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    recipe = Recipe(**{**UNTIMED, "model": str(tmp_path / "net.onnx"), "data": str(tmp_path / "samples.npz")})
    run = run_recipe(recipe, out="out", command=["quantlab", "ptq", "--model", str(tmp_path / "net.onnx")])
    assert str(tmp_path) not in run.report.to_json()
    assert run.report.content["recipe"]["model"] == "net.onnx"
    assert run.report.content["command"][-1] == "net.onnx"
    assert Recipe.load("out/recipe.toml").model == str(tmp_path / "net.onnx")


def test_objects_from_python_are_not_called_by_the_name_of_something_else(tmp_path):
    run = quantlab.ptq(classifier(), (images(), labels()), eval_data=images(), out=tmp_path, **UNTIMED)
    told = run.report.content["recipe"]
    assert told["model"] == "<Model from Python>"
    assert told["data"] == "<tuple from Python>"
    assert told["eval_data"] == "<ndarray from Python>"
    with pytest.raises(ModelError, match="<Model from Python>"):
        run_recipe(Recipe.load(tmp_path / "recipe.toml"))


def test_a_network_no_better_than_guessing_is_warned_of():
    wrong = np.random.default_rng(0).integers(0, 10, 24)
    warnings = quantlab.ptq(classifier(), (images(), wrong), **UNTIMED).report.warnings
    assert any("cannot be told from guessing among 10 classes" in warning for warning in warnings)


def test_the_same_run_tells_the_same_but_for_when_it_was_and_what_it_took(folder, report):
    recipe = Recipe.load(folder / "out" / "recipe.toml")
    again = run_recipe(recipe, out=folder / "again", command=report.content["command"]).report
    mine, theirs = (json.loads(each.to_json()) for each in (report, again))
    for told in (mine, theirs):
        del told["created"], told["resources"]
    assert mine == theirs
