import io
from pathlib import Path

import numpy as np
import pytest

from quantlab.files import DAMAGED_ARRAYS, replacing


def test_every_damage_of_an_array_file_raises_what_is_listed():
    stream = io.BytesIO()
    np.savez(stream, a=np.arange(6, dtype=np.float32), b=np.zeros((2, 3)))
    content = stream.getvalue()
    generator = np.random.default_rng(0)
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= int(generator.integers(1, 256))
        try:
            with np.load(io.BytesIO(bytes(damaged)), allow_pickle=False) as arrays:
                for name in arrays.files:
                    arrays[name]
        except DAMAGED_ARRAYS:
            continue


def test_a_file_appears_only_when_its_writer_is_done(tmp_path):
    path = tmp_path / "a.txt"
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_writer_that_fails_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        _write_half(path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def _write_half(path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
