import hashlib
import json
from pathlib import Path

import pytest

from quantlab.errors import RunError
from quantlab.recipe import Recipe
from quantlab.run_folder import REPORT, RunFolder, kept_statistics, write_text
from quantlab.stats.count import statistics_of
from quantlab.stats.table import Statistics
from tests.models import two_convs

STATISTICS = Statistics({"x": statistics_of([1.0, 2.0])}, 2)


def names(path: Path) -> set[str]:
    return {file.name for file in path.iterdir()}


def finished(path: Path, fingerprint: str = "mine", *, targets: tuple[str, ...] = ("onnxruntime",)) -> RunFolder:
    """Write a whole run whose report says whose it is."""
    folder = RunFolder(path)
    folder.begin(fingerprint)
    folder.write_statistics(STATISTICS, fingerprint, is_complete=True)
    folder.write_models(two_convs(), {target: two_convs() for target in targets})
    folder.write_text(REPORT, json.dumps({"run": fingerprint}))
    folder.publish()
    return folder


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
    assert kept_statistics(tmp_path, 0)[1] == 2


@pytest.mark.parametrize("name", ["stats.npz", "state.json"])
def test_damaged_statistics_are_as_good_as_none(tmp_path, name):
    folder = finished(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:20])
    assert folder.saved_statistics("mine") is None


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    path = tmp_path / "run"
    path.write_text("")
    with pytest.raises(RunError, match=r"this is a file.*choose another --out"):
        RunFolder(path)


def test_a_folder_below_a_file_is_refused(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(RunError, match="cannot be written to"):
        RunFolder(path / "run")


def test_nothing_is_in_the_folder_itself_before_the_run_is_whole(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_recipe(Recipe())
    folder.write_models(two_convs(), {"onnxruntime": two_convs()})
    assert names(tmp_path) == {"unfinished"}
    folder.write_text(REPORT, "{}")
    folder.publish()
    assert names(tmp_path) == {"recipe.toml", "model.fp32.onnx", "model.onnxruntime.int8.onnx", "report.json"}


def test_an_unfinished_run_leaves_the_one_before_it_whole(tmp_path):
    finished(tmp_path, "first")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    second = RunFolder(tmp_path)
    second.begin("second")
    second.write_statistics(STATISTICS, "second", is_complete=True)
    second.write_models(two_convs(), {"tensorrt": two_convs()})
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()} == before


def test_a_finished_run_takes_the_place_of_the_one_before_it(tmp_path):
    finished(tmp_path, "first", targets=("onnxruntime", "tensorrt"))
    (tmp_path / "mine.txt").write_text("of the user")
    finished(tmp_path, "second")
    assert names(tmp_path) == {
        *("stats.npz", "state.json", "report.json", "model.fp32.onnx", "model.onnxruntime.int8.onnx", "mine.txt")
    }
    assert json.loads((tmp_path / REPORT).read_text())["run"] == "second"


def test_a_stop_while_files_move_up_leaves_no_report_of_another_run(tmp_path, monkeypatch):
    finished(tmp_path, "first")
    second = RunFolder(tmp_path)
    second.begin("second")
    second.write_models(two_convs(), {"onnxruntime": two_convs()})
    second.write_text(REPORT, "{}")
    moves: list[Path] = []

    def stop_at_the_second(self: Path, target: Path) -> None:
        moves.append(self)
        if len(moves) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        second.publish()
    assert not (tmp_path / REPORT).exists()


def test_beginning_keeps_what_an_interrupted_run_of_the_same_samples_counted(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_statistics(STATISTICS, "mine", is_complete=False)
    folder.write_recipe(Recipe())
    folder.begin("mine")
    assert names(folder.unfinished) == {"stats.npz", "state.json"}
    folder.begin("other")
    assert names(folder.unfinished) == set()


def test_statistics_alone_leave_a_run_of_the_same_samples_as_it_is(tmp_path):
    folder = finished(tmp_path)
    before = names(tmp_path)
    folder.begin("mine")
    folder.publish()
    assert names(tmp_path) == before


def test_statistics_of_other_samples_end_the_run_they_do_not_belong_to(tmp_path):
    folder = finished(tmp_path, "first")
    folder.begin("second")
    folder.write_statistics(STATISTICS, "second", is_complete=True)
    folder.publish()
    assert names(tmp_path) == {"stats.npz", "state.json"}


def test_entries_are_the_files_of_this_run_with_their_hashes(tmp_path):
    finished(tmp_path, "mine", targets=("onnxruntime", "tensorrt"))
    folder = RunFolder(tmp_path)
    folder.begin("mine")
    folder.write_models(two_convs(), {"tensorrt": two_convs()})
    entries = folder.entries()
    assert set(entries) == {"stats.npz", "model.fp32.onnx", "model.tensorrt.int8.onnx"}
    content = (folder.unfinished / "model.tensorrt.int8.onnx").read_bytes()
    assert entries["model.tensorrt.int8.onnx"] == (len(content), hashlib.sha256(content).hexdigest())


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "recipe.toml"
    write_text(path, "old")

    def fail(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(RunError, match="No space left on device"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == {"recipe.toml"}


def test_an_interrupt_while_writing_leaves_nothing_half_written(tmp_path, monkeypatch):
    def interrupt(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        RunFolder(tmp_path).write_recipe(Recipe())
    assert names(tmp_path / "unfinished") == set()
