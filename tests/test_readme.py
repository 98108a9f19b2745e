"""What README shows is run."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from quantlab.cli import build_app

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PYTHON_BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = re.findall(r"^\$ quantlab (\w+)", README, flags=re.MULTILINE)


@pytest.mark.parametrize("block", PYTHON_BLOCKS)
def test_a_python_example_of_the_readme_runs(block, capsys):
    if "import torch" in block:
        pytest.importorskip("torch")
    exec(compile(block, "README.md", "exec"), {})
    assert "onnxruntime" in capsys.readouterr().out


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_a_command_that_the_readme_shows_exists(command):
    done = CliRunner().invoke(build_app(), [command, "--help"])
    assert done.exit_code == 0, done.output
