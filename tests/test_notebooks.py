"""Every code cell of every notebook runs, in order, in one namespace; `make notebooks` does it in a Jupyter kernel."""

import json
import runpy
import sys
from pathlib import Path

import matplotlib as mpl
import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def code_cells(path: Path) -> list[str]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_there_are_four_notebooks():
    assert [path.name[:3] for path in NOTEBOOKS] == ["01_", "02_", "03_", "04_"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path, capsys):
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    namespace: dict[str, object] = {}
    for source in code_cells(path):
        exec(compile(source, path.name, "exec"), namespace)
    assert capsys.readouterr().out
    assert plt.get_fignums()
    plt.close("all")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert all(not cell.get("outputs") for cell in cells)
    assert all(cell.get("execution_count") is None for cell in cells)


def test_notebooks_run_in_a_jupyter_kernel(tmp_path, monkeypatch):
    cell: dict[str, object] = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "execution_count": None,
        "outputs": [],
        "source": ["6 * 7"],
    }
    notebook = {
        "cells": [cell],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (tmp_path / "sum.ipynb").write_text(json.dumps(notebook))
    monkeypatch.setattr(sys, "argv", ["execute.py", "--save", str(tmp_path / "done"), str(tmp_path / "sum.ipynb")])
    runpy.run_path(str(FOLDER / "execute.py"), run_name="__main__")
    assert "42" in (tmp_path / "done" / "sum.ipynb").read_text()
