from pathlib import Path

import pytest

from quantlab.errors import RunError
from quantlab.recipe import Recipe
from quantlab.run_folder import RunFolder, write_text
from quantlab.stats.count import statistics_of
from quantlab.stats.table import Statistics

STATISTICS = Statistics({"x": statistics_of([1.0, 2.0])}, 2)


def test_saved_statistics_come_back_for_the_same_fingerprint_only(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.write_statistics(STATISTICS, "mine", is_complete=True)
    saved = folder.saved_statistics("mine")
    assert saved is not None
    assert saved.statistics.same_as(STATISTICS)
    assert saved.is_complete
    assert folder.saved_statistics("other") is None


def test_partial_statistics_are_not_complete(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_statistics(STATISTICS, "mine", is_complete=False)
    saved = folder.saved_statistics("mine")
    assert saved is not None
    assert not saved.is_complete


@pytest.mark.parametrize("name", ["stats.npz", "state.json"])
def test_damaged_statistics_are_as_good_as_none(tmp_path, name):
    folder = RunFolder(tmp_path)
    folder.write_statistics(STATISTICS, "mine", is_complete=True)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:20])
    assert folder.saved_statistics("mine") is None


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    path = tmp_path / "run"
    path.write_text("")
    with pytest.raises(RunError, match="cannot be written to"):
        RunFolder(path)


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "recipe.toml"
    write_text(path, "old")

    def fail(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(RunError, match="No space left on device"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.toml"]


def test_an_interrupt_while_writing_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        RunFolder(tmp_path).write_recipe(Recipe())
    assert list(tmp_path.iterdir()) == []
