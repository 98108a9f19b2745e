from pathlib import Path

import pytest

from quantlab.report.paths import without_private_paths

WORKING = Path("/home/someone/project")
HOME = Path("/home/someone")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/home/someone/project/net.onnx", "net.onnx"),
        ("--model=/home/someone/project/a/net.onnx", "--model=a/net.onnx"),
        ("samples of '/home/someone/project/x.npz'", "samples of 'x.npz'"),
        ("/home/someone/data/x.npz", "~/data/x.npz"),
        ("/home/someone/project2/x.npz", "~/project2/x.npz"),
        ("/mnt/home/someone/project/x.npz", "/mnt/home/someone/project/x.npz"),
        ("/data/x.npz", "/data/x.npz"),
        ("entropy", "entropy"),
    ],
)
def test_paths_below_the_working_and_the_home_folder_are_told_relative_to_them(text, told):
    assert without_private_paths(text, working=WORKING, home=HOME) == told


def test_lists_and_sections_are_looked_into_and_other_values_stay():
    value = {"a": ["/home/someone/project/x", 1, None, {"b": "/home/someone/y"}], "/home/someone/key": True}
    told = {"a": ["x", 1, None, {"b": "~/y"}], "/home/someone/key": True}
    assert without_private_paths(value, working=WORKING, home=HOME) == told


def test_a_root_as_working_folder_shortens_nothing():
    assert without_private_paths("/data/x.npz", working=Path("/"), home=Path("/")) == "/data/x.npz"
