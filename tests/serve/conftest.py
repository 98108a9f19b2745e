"""A folder with two runs of a small classifier, some broken ones, and a browser without a screen for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

import quantlab
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.serve.app import create_app
from quantlab.serve.models import ModelCache
from quantlab.serve.run_list import RunList
from quantlab.serve.samples import GivenSamples
from quantlab.serve.workbench import Workbench
from tests.runs import UNTIMED, write_files


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the runs `one` and `group/two`, which tests do not change."""
    root = tmp_path_factory.mktemp("served")
    net, data = write_files(root)
    for name, calibrator in (("one", "entropy"), ("group/two", "minmax")):
        quantlab.ptq(str(net), str(data), out=root / name, calibrator=calibrator, **UNTIMED)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """Return a copy of that folder to change; the runs' data lie in it."""
    folder = tmp_path / "runs"
    shutil.copytree(made, folder)
    for report in folder.rglob("report.json"):
        content = json.loads(report.read_text())
        content["recipe"]["data"] = str(folder / "samples.npz")
        report.write_text(json.dumps(content))
    return folder


def workbench_of(folder: Path, given: GivenSamples | None = None) -> Workbench:
    """Return what serves a folder."""
    return Workbench(RunList.open(folder), ModelCache(OnnxRuntime(threads=1)), given or GivenSamples())


@pytest.fixture
def client(root: Path) -> Iterator[FlaskClient]:
    """Return a client of the application that serves the folder."""
    workbench = workbench_of(root)
    yield create_app(workbench).test_client()
    workbench.close()


def change_report(folder: Path, **sections: object) -> None:
    """Write other sections into a run's report."""
    file = folder / "report.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **sections}))
