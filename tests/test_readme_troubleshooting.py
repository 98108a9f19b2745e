"""Every error in README's table of troubleshooting is one that quantlab prints."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import typer

from quantlab.commands.terminal import reporting_errors
from quantlab.data.batch import InputSpec
from quantlab.data.open import open_source
from quantlab.data.preprocess import Preprocess
from quantlab.deployable import deployables
from quantlab.engines.tensorrt import messages, runtimes
from quantlab.errors import QuantlabError
from quantlab.job import Inputs, open_job
from quantlab.opening import open_float_model
from quantlab.plots.canvas import axes_or_new
from quantlab.recipe import Recipe
from quantlab.run_folder import CHECKPOINT
from tests.models import model_from_text, noise

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
ERRORS = re.findall(r"^\| `(.+?)` \| ", README.split("## Troubleshooting")[1].split("\n## ")[0], flags=re.MULTILINE)


def quantized_already(folder, monkeypatch):
    text = """
    <ir_version: 10, opset_import: ["": 18]>
    g (uint8[8] x, float scale) => (float[8] z)
    { [d1] y = DequantizeLinear (x, scale) [d2] y2 = DequantizeLinear (x, scale) [sum] z = Add (y, y2) }
    """
    open_float_model(model_from_text(text, {}))


def channels_last(folder, monkeypatch):
    Preprocess().fitted_to(InputSpec("image", np.dtype(np.float32), (None, 64, 64, 3)))


def no_such_data(folder, monkeypatch):
    open_source("nowhere", [InputSpec("image", np.dtype(np.float32), (None, 3, 8, 8))])


def no_run(folder, monkeypatch):
    deployables(folder)


def half_precision(folder, monkeypatch):
    text = """
    <ir_version: 10, opset_import: ["": 18]>
    half (float16[batch, 3, 8, 8] image, float16[4, 3, 3, 3] w) => (float16[batch, 4, 6, 6] y) { y = Conv (image, w) }
    """
    model = model_from_text(text, {"w": noise(4, 3, 3, 3).astype(np.float16)})
    raise QuantlabError(*open_job(Recipe(samples=2), Inputs(model, noise(8, 3, 8, 8))).warnings)


def no_tensorrt(folder, monkeypatch):
    monkeypatch.setattr(runtimes, "find_spec", lambda name: None)
    runtimes.installed_runtime()


def no_plugin(folder, monkeypatch):
    fault = SimpleNamespace(
        node_operator=lambda: "HSwish", node_name=lambda: "act", desc=lambda: "Plugin not found, are you sure?"
    )
    raise QuantlabError(*messages.parse_errors(SimpleNamespace(num_errors=1, get_error=lambda index: fault)))


def stopped_training(folder, monkeypatch):
    (folder / CHECKPOINT).touch()
    raise KeyboardInterrupt


def no_matplotlib(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    axes_or_new(None, width=1.0, height=1.0)


CAUSES = (
    quantized_already,
    channels_last,
    no_such_data,
    no_run,
    half_precision,
    no_tensorrt,
    no_plugin,
    stopped_training,
    no_matplotlib,
)


@pytest.mark.parametrize(("error", "cause"), list(zip(ERRORS, CAUSES, strict=True)), ids=[c.__name__ for c in CAUSES])
def test_an_error_of_the_readme_is_what_is_printed(error, cause, tmp_path, monkeypatch, capsys):
    try:
        with reporting_errors(debug=False, folder=tmp_path, resume=True):
            cause(tmp_path, monkeypatch)
    except (typer.Exit, SystemExit, QuantlabError):
        pass
    said = capsys.readouterr()
    # Dots in README stand for any words, a count of more for any count.
    words = [re.escape(part) for part in re.split(r"\.\.\.|\d+(?= more)", error)]
    assert re.search(".*".join(words), said.out + said.err), said


def test_the_table_begins_with_a_model_that_is_quantized():
    assert ERRORS[0].startswith("it is quantized already")
