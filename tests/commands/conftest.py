"""A folder to work in, with a model and its samples, and the command line run in this process."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from quantlab.cli import main
from tests.runs import write_files


class Said(NamedTuple):
    """What a command said."""

    code: int
    out: str
    err: str


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


Quantlab = Callable[..., Said]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `net.onnx` and `samples.npz`, which tests do not change."""
    folder = tmp_path_factory.mktemp("files")
    write_files(folder)
    return folder


@pytest.fixture
def workplace(tmp_path: Path, files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty working folder with links to `net.onnx` and `samples.npz`."""
    for file in files.iterdir():
        os.link(file, tmp_path / file.name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def quantlab(workplace: Path, capsys: pytest.CaptureFixture[str]) -> Quantlab:
    """Return what runs a command line in the working folder."""

    def run(*arguments: str) -> Said:
        capsys.readouterr()
        code = main(arguments)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run
