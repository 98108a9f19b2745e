"""Every command that MIGRATING.md shows does what it says, on small stand-ins for a user's files."""

import importlib.util
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from quantlab.cli import main
from quantlab.graph.load import load
from quantlab.graph.prepare import prepare
from quantlab.graph.save import save, to_bytes
from quantlab.interop.calibration_cache import write_cache
from quantlab.interop.export_cache import export_cache
from quantlab.targets import target_named
from tests.runs import classifier, images, labels
from tests.targets.quantize import quantized

GUIDE = (Path(__file__).parents[1] / "MIGRATING.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ quantlab (.+)$", GUIDE, flags=re.MULTILINE)
(CALIB,) = re.findall(r"```python\n(.*?)```", GUIDE, flags=re.DOTALL)
RUNS_MODELS = ("ptq", "compare", "evaluate")
FAST = ("--threads", "1", "--no-latency", "--quiet")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with what the guide takes for given."""
    path = tmp_path
    model = prepare(classifier())
    save(classifier(), path / "net.onnx")
    int8 = quantized(model, target_named("tensorrt").place(model))
    write_cache(export_cache(int8).cache, path / "calibration.cache")
    save(int8, path / "exported.onnx")
    np.savez(path / "eval.npz", image=images(), labels=labels())
    (path / "batches").mkdir()
    for number, batch in enumerate(np.split(images(), 3)):
        np.save(path / "batches" / f"{number}.npy", batch)
    (path / "calib.py").write_text(CALIB)
    if importlib.util.find_spec("torch"):
        import torch

        weight = torch.from_numpy(classifier().constant("w1").copy())
        state = {"stem._input_quantizer._amax": torch.tensor(2.54), "stem.weight": weight}
        torch.save(state, path / "calibrated.pth")
    return path


def test_the_guide_shows_commands():
    assert {command.split()[0] for command in COMMANDS} >= {"cache", "lint", "audit", "build", "ptq"}


def test_the_commands_of_the_guide_do_what_they_say_one_after_the_other(folder, monkeypatch, capsys):
    installed = {name: importlib.util.find_spec(name) is not None for name in ("tensorrt_rtx", "torch")}
    monkeypatch.chdir(folder)
    for command in COMMANDS:
        needs = [name for name, word in (("tensorrt_rtx", "tensorrt_rtx"), ("torch", ".pth")) if word in command]
        if all(installed[name] for name in needs):
            arguments = shlex.split(command)
            fast = FAST if arguments[0] in RUNS_MODELS else ()
            assert main([*arguments, *fast]) == 0, capsys.readouterr().err
    assert main(["cache", "import", "net.cache", "--model", "net.onnx", "--out", "runs/again"]) == 0
    name = "model.tensorrt.int8.onnx"
    assert to_bytes(load(Path("runs/again") / name)) == to_bytes(load(Path("runs/net") / name))
