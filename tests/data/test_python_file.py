from __future__ import annotations

import sys
from pathlib import Path

import pytest

from quantlab.data.open import open_source
from quantlab.data.python_file import is_python_function, load_function
from quantlab.errors import DataError

from .specs import IMAGE

CODE = """
import numpy as np
from beside_it import SIZE

RUNS = []
X = np.zeros((SIZE, 1, 4, 4), np.float32)

def array(): return X
def pair(): return X, np.arange(SIZE)
def dictionary(): return {"input": X, "y": np.arange(SIZE)}
def batches(): return [X[:2], X[2:]]
def generator():
    RUNS.append(1)
    yield X[:2]
    yield X[2:]
def nothing(): return None
def broken(): raise ValueError("no disk")
def asks(path): return X
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "beside_it.py").write_text("SIZE = 5\n")
    path = tmp_path / "my däta.py"
    path.write_text(CODE)
    return path


@pytest.fixture(autouse=True)
def forget_modules():
    before, path = set(sys.modules), list(sys.path)
    yield
    assert sys.path == path
    for name in set(sys.modules) - before:
        if name == "beside_it" or name.startswith("_quantlab_"):
            del sys.modules[name]


@pytest.mark.parametrize("function", ["array", "pair", "dictionary", "batches", "generator"])
def test_whatever_the_function_gives_is_read_again_and_again(file, function):
    source = open_source(f"{file}:{function}", [IMAGE])
    assert source.name.endswith(f":{function}")
    for _ in range(2):
        assert sum(b.size for b in source.read(0, None, 3)) == 5


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("absent", "has no function 'absent'; it has array, asks, batches, broken, dictionary"),
        ("X", "has no function 'X'"),
        ("nothing", "NoneType"),
        ("broken", "the function raised ValueError: no disk"),
        ("asks", "the function raised TypeError"),
    ],
)
def test_a_function_that_gives_no_data_is_refused(file, function, message):
    with pytest.raises(DataError, match=message):
        open_source(f"{file}:{function}", [IMAGE])


@pytest.mark.parametrize("code", ["1 / 0", "def f(:", "import not_there_at_all"])
def test_a_file_that_fails_to_run_is_refused_and_leaves_no_module(tmp_path, code):
    path = tmp_path / "bad.py"
    path.write_text(code)
    before = set(sys.modules)
    with pytest.raises(DataError, match=r"running .*bad.py raised"):
        load_function(f"{path}:f")
    assert set(sys.modules) == before


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="there is no file"):
        load_function(f"{tmp_path / 'none.py'}:f")


def test_a_file_that_is_only_named_does_not_run(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("raise RuntimeError('it ran')")
    with pytest.raises(DataError, match="is there, but no kind of data"):
        open_source(path, [IMAGE])


def test_only_the_full_form_is_a_function():
    assert is_python_function("C:\\data\\mine.py:load")
    assert not any(map(is_python_function, ["mine.py", "mine.py:", "mine.txt:load", "digits", "a.py:b-c"]))
