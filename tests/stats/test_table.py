"""The table of statistics: saved and loaded whole, merged exactly, never half read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantlab.errors import CalibrationError
from quantlab.stats import Statistics, statistics_of


def _table(seed: int = 0, samples: int = 4) -> Statistics:
    generator = np.random.default_rng(seed)
    tensors = {
        "x": statistics_of(generator.standard_normal(500)),
        "a b/ö:1": statistics_of(np.maximum(generator.standard_normal(300), 0) * 1e20),
        "tiny": statistics_of(generator.standard_normal(30) * 1e-40),
        "dead": statistics_of(np.zeros(9)),
        "empty": statistics_of(np.zeros(0)),
    }
    return Statistics(tensors, samples)


def test_a_saved_table_loads_to_the_same(tmp_path: Path) -> None:
    table = _table()
    table.save(tmp_path / "stats.npz")
    loaded = Statistics.load(tmp_path / "stats.npz")
    assert loaded.same_as(table)
    assert list(loaded.tensors) == list(table.tensors)


def test_an_empty_table_loads_to_the_same(tmp_path: Path) -> None:
    table = Statistics({}, 0)
    table.save(tmp_path / "stats.npz")
    assert Statistics.load(tmp_path / "stats.npz").same_as(table)


def test_equal_tables_give_equal_bytes_and_leave_nothing_else(tmp_path: Path) -> None:
    _table().save(tmp_path / "a.npz")
    _table().save(str(tmp_path / "b.npz"))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]


def test_a_failed_save_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "stats.npz"
    _table(0).save(path)

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(CalibrationError, match=r"stats\.npz: cannot write .*No space left"):
        _table(1).save(path)
    assert Statistics.load(path).same_as(_table(0))
    assert [entry.name for entry in tmp_path.iterdir()] == ["stats.npz"]


def test_a_missing_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"none/stats\.npz: cannot write"):
        _table().save(tmp_path / "none" / "stats.npz")
    with pytest.raises(CalibrationError, match=r"none\.npz: cannot read"):
        Statistics.load(tmp_path / "none.npz")


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "stats.npz"
    _table().save(path)
    content = path.read_bytes()
    for size in range(0, len(content), 97):
        path.write_bytes(content[:size])
        with pytest.raises(CalibrationError, match="not a whole table"):
            Statistics.load(path)


def test_damage_anywhere_is_refused_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "stats.npz"
    table = _table()
    table.save(path)
    content = path.read_bytes()
    generator = np.random.default_rng(1)
    refused = 0
    for place in range(0, len(content), 13):
        damaged = bytearray(content)
        damaged[place] ^= int(generator.integers(1, 256))
        path.write_bytes(bytes(damaged))
        try:
            loaded = Statistics.load(path)
        except CalibrationError:
            refused += 1
        else:  # a byte of the archive that means nothing, such as a time stamp
            assert loaded.same_as(table)
    assert refused > len(content) / 13 / 2


@pytest.mark.parametrize("content", [b"", b"hello", b"\x93NUMPY\x01\x00", b"PK\x03\x04"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "stats.npz"
    path.write_bytes(content)
    with pytest.raises(CalibrationError, match="not a whole table"):
        Statistics.load(path)


def test_a_single_array_a_pickle_and_another_archive_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "stats.npy"
    np.save(path, np.arange(3))
    with pytest.raises(CalibrationError, match="not a whole table"):
        Statistics.load(path)
    np.save(path, np.array([{}]), allow_pickle=True)
    with pytest.raises(CalibrationError, match="not a whole table"):
        Statistics.load(path)
    np.savez(tmp_path / "other.npz", images=np.zeros(3))
    with pytest.raises(CalibrationError, match="not a whole table"):
        Statistics.load(tmp_path / "other.npz")


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "stats.npz"
    _table().save(path)
    with np.load(path) as arrays:
        changed = dict(arrays) | {"format": np.array(2)}
    np.savez(path, **changed)
    with pytest.raises(CalibrationError, match="format 2"):
        Statistics.load(path)


def test_tables_merge_tensor_by_tensor() -> None:
    merged = _table(0, 4).merge(_table(1, 3))
    assert merged.samples == 7
    for name, statistics in merged.tensors.items():
        assert statistics.same_as(_table(0).tensors[name].merge(_table(1).tensors[name]))
    assert merged.same_as(_table(1, 3).merge(_table(0, 4)))


def test_an_empty_table_changes_nothing_when_merged() -> None:
    assert Statistics({}, 0).merge(_table()).same_as(_table())
    assert _table().merge(Statistics({}, 0)).same_as(_table())


def test_tables_of_other_tensors_do_not_merge() -> None:
    fewer = Statistics({"x": _table().tensors["x"]}, 4)
    with pytest.raises(CalibrationError, match="4 tensors are in one table only, such as 'a b/ö:1'"):
        _table().merge(fewer)


def test_a_group_is_the_values_of_its_tensors_taken_together() -> None:
    left, right = np.linspace(-1, 2, 50), np.linspace(0, 70, 99)
    table = Statistics({"l": statistics_of(left), "r": statistics_of(right)}, 1)
    assert table.merged(["l", "r"]).same_as(statistics_of(np.concatenate([left, right])))
    assert table.merged(["l"]).same_as(table.tensors["l"])
    with pytest.raises(CalibrationError, match="'s' was not observed"):
        table.merged(["l", "s"])
    with pytest.raises(CalibrationError, match="without tensors"):
        table.merged([])


def test_a_table_prints_one_line_per_tensor() -> None:
    lines = str(_table()).splitlines()
    assert lines[0] == "statistics of 5 tensors over 4 samples"
    assert lines[4] == "  dead: [0, 0], 9 values, 100 % zeros, 0 bins"


def test_tables_differ_by_samples_names_and_tensors() -> None:
    assert not _table().same_as(_table(samples=5))
    assert not _table().same_as(_table(seed=1))
    assert not _table().same_as(Statistics({}, 4))
