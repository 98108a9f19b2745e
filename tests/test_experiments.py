"""The studies' recipes are accepted, and what their READMEs say is what results.json holds."""

import re
import runpy
import sys

import pytest
from typer.testing import CliRunner

from experiments import study
from experiments.study import STUDIES, Study
from quantlab.cli import build_app
from quantlab.data.python_file import is_python_function, load_function
from quantlab.recipe import Recipe

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, where a network is exported


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch):
    monkeypatch.chdir(study.HERE.parent)


def decibels(rows, samples):
    return {row["calibrator"]: row["sqnr_db"] for row in rows if row["samples"] == samples}


def test_there_are_three_studies():
    assert [name[:4] for name in STUDIES] == ["001_", "002_", "003_"]


@pytest.mark.parametrize("name", STUDIES)
def test_a_committed_recipe_names_its_model_and_its_data(name):
    recipe = Recipe.load(study.HERE / name / "recipe.toml")
    for named in (recipe.model, recipe.data, recipe.eval_data or "digits", recipe.qat.get("train_data", "digits")):
        if is_python_function(named):
            pytest.importorskip("torch")
            load_function(named)()
        else:
            assert named == "digits"


@pytest.mark.parametrize(
    "name", [name if "qat" not in name else pytest.param(name, marks=pytest.mark.slow) for name in STUDIES]
)
def test_quantlab_run_takes_a_committed_recipe(name):
    if "qat" in name:
        pytest.importorskip("torch")
    done = CliRunner().invoke(build_app(), ["run", f"experiments/{name}/recipe.toml", "--dry-run", "--quiet"])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("name", STUDIES)
def test_tables_and_answers_in_readmes_are_those_of_the_results(name):
    for path, part in Study(name).parts(Study(name).results).items():
        assert part in path.read_text(encoding="utf-8")


def test_a_study_that_is_repeated_writes_its_results_into_the_readmes(tmp_path, monkeypatch):
    name = "001_how_many_samples"
    (tmp_path / name).mkdir()
    for path in (f"{name}/README.md", f"{name}/results.json", "README.md"):
        (tmp_path / path).write_text((study.HERE / path).read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(study, "HERE", tmp_path)
    repeated = Study(name)
    measured = [{**row, "sqnr_db": 10.0} for row in repeated.results]
    monkeypatch.setattr(repeated.script, "measure", lambda: measured)

    repeated.repeat()

    assert repeated.results == measured
    assert "| 384 | - | 10.0 dB | - | 10.0 dB |" in (tmp_path / name / "README.md").read_text(encoding="utf-8")
    assert "For the bundled digits network, 1." in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_a_run_of_a_study_is_one_of_quantlab_run(tmp_path, monkeypatch):
    seen = []

    def quantlab(arguments):
        seen.append(arguments)
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "report.json").write_text('{"done": true}')
        return 0

    monkeypatch.setattr(study, "quantlab", quantlab)
    assert study.quantlab_run(Recipe(samples=3), tmp_path / "a") == {"done": True}
    assert seen == [["run", str(tmp_path / "a.toml"), "--out", str(tmp_path / "a"), "--quiet"]]
    assert Recipe.load(tmp_path / "a.toml") == Recipe(samples=3)


def test_a_study_that_there_is_not_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["experiments", "004"])
    with pytest.raises(SystemExit):
        runpy.run_module("experiments", run_name="__main__")
    assert "no study begins with 004; choose from 001_how_many_samples" in capsys.readouterr().err


def test_what_the_first_study_says_in_words_is_in_its_results():
    rows = Study("001_how_many_samples").results
    final = decibels(rows, 384)
    close = {
        samples: {name for name, value in decibels(rows, samples).items() if abs(value - final[name]) < 1}
        for samples in (32, 64, 128, 256)
    }
    assert close == {32: {"minmax", "percentile"}, **{samples: set(final) for samples in (64, 128, 256)}}
    assert {row["drop"] for row in rows} == {-0.15625, 0.0}
    entropy = next(row for row in rows if (row["samples"], row["calibrator"]) == (256, "entropy"))
    assert f"{entropy['largest_scale_change']:.0%}" == "17%"


def test_what_the_second_study_says_in_words_is_in_its_results():
    results = Study("002_which_calibrator").results
    whole = {(row["target"], row["calibrator"]): row["sqnr_db"] for row in results["networks"]}
    assert f"{whole['tensorrt', 'mse'] - whole['tensorrt', 'entropy']:.1f}" == "5.7"
    assert [row["drop"] for row in results["networks"]] == [0.0] * 8
    found = {
        (row["tensor"], row["scheme"]): {name: each["sqnr_db"] for name, each in row["calibrators"].items()}
        for row in results["tensors"]
    }
    for cells in found.values():  # the guard of entropy: twice the squared error of minmax is 3.01 dB
        assert cells["minmax"] - cells["entropy"] < 3.02
    for (tensor, _), cells in found.items():
        if tensor == "drawn: gate":
            assert max(cells.values()) - min(cells.values()) < 0.1
        if tensor in ("drawn: attention", "drawn: outliers"):
            assert "percentile" in sorted(cells, key=cells.__getitem__)[:2]


def test_what_the_third_study_says_in_words_is_in_its_results():
    readme = (study.HERE / "003_ptq_or_qat" / "README.md").read_text(encoding="utf-8")
    rows = Study("003_ptq_or_qat").results
    assert {row["accuracy"] for row in rows if row["model"] == "fp32"} == {98.4375}
    worst = sorted(row["accuracy"] for row in rows if row["spread"] == 1000 and row["model"].startswith("ptq"))
    assert f"between {worst[0]:.2f} and {worst[-1]:.2f} %" in readme
    lost = next(row for row in rows if (row["spread"], row["model"]) == (1000, "ptq entropy"))["drop"]["points"]
    shares = {
        name: sorted(1 - row["drop"]["points"] / lost for row in rows if (row["spread"], row["model"]) == (1000, name))
        for name in ("qat weights", "qat weights and scales")
    }
    said = re.search(r"(\d+) to (\d+) % of the loss by the weights alone\s+and (\d+) to (\d+) % with", readme)
    assert said is not None
    ends = [share for found in shares.values() for share in (found[0], found[-1])]
    assert list(said.groups()) == [f"{100 * share:.0f}" for share in ends]
