from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quantlab.data import datasets
from quantlab.data.datasets import Dataset, dataset_names, find_dataset, open_dataset, sha256_of
from quantlab.data.image_folder import ImageFolderSource
from quantlab.data.open import open_source
from quantlab.data.preprocess import Preprocess
from quantlab.errors import DataError, RecipeError

from .specs import COLOUR, IMAGE

REPOSITORY = Path(datasets.__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder whose `calib_data` holds two images and an array."""
    data = tmp_path / "calib_data"
    for name in ("a", "b"):
        (data / "pictures" / name).mkdir(parents=True)
        Image.new("RGB", (9, 8)).save(data / "pictures" / name / "ü 1.png")
    np.savez(data / "x.npz", x=np.zeros((3, 1, 4, 4)), y=np.arange(3))
    monkeypatch.chdir(tmp_path)
    return data


def describe(folder: Path, text: str) -> None:
    (folder / "datasets.toml").write_text(text, encoding="utf-8")


def test_a_name_opens_images_with_the_preprocessing_of_the_entry(folder):
    describe(folder, '[mine]\nloader = "images"\npath = "pictures"\npreprocess = { preset = "raw" }')
    source = open_source("mine", [COLOUR])
    assert isinstance(source, ImageFolderSource)
    assert (source.name, source.size, source.preprocess.scale) == ("mine", 2, 1.0)
    assert source.notes[0] == "mine: datasets.toml gives no sha256, so its files were not verified."
    given = open_source("mine", [COLOUR], preprocess=Preprocess.named("signed"))
    assert isinstance(given, ImageFolderSource)
    assert given.preprocess.mean == (0.5,)


def test_a_name_opens_arrays(folder):
    describe(folder, '[mine]\nloader = "arrays"\npath = "x.npz"')
    batch = next(open_source("mine", [IMAGE]).read(0, None, 3))
    assert batch.labels is not None
    assert batch.labels.tolist() == [0, 1, 2]


def test_labels_that_are_no_networks_classes_are_left_out(folder):
    describe(folder, '[mine]\nloader = "arrays"\npath = "x.npz"\nlabels = false')
    source = open_source("mine", [IMAGE])
    assert next(source.read(0, None, 3)).labels is None


@pytest.mark.parametrize(("loader", "path", "spec"), [("arrays", "x.npz", IMAGE), ("images", "pictures", COLOUR)])
def test_files_are_verified_by_their_hash(folder, loader, path, spec):
    digest = sha256_of(folder / path)
    describe(folder, f'[mine]\nloader = "{loader}"\npath = "{path}"\nsha256 = "{digest}"')
    assert open_source("mine", [spec]).size
    target = folder / path if loader == "arrays" else folder / path / "a" / "ü 1.png"
    target.write_bytes(target.read_bytes() + b"\0")
    with pytest.raises(DataError, match=rf"mine: .* has sha256 [0-9a-f]{{64}}, datasets.toml says {digest}"):
        open_source("mine", [spec])


def test_the_hash_of_a_folder_is_that_of_its_list_of_hashes(tmp_path):
    for name in ("b", "a/z", "a/é", ".hidden", ".git/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    names = ["a/z", "a/é", "b"]
    lines = "".join(f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n" for name in names)
    assert sha256_of(tmp_path) == hashlib.sha256(lines.encode()).hexdigest()
    (tmp_path / "b").rename(tmp_path / "c")
    assert sha256_of(tmp_path) != hashlib.sha256(lines.encode()).hexdigest()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[mine", "cannot be read"),
        ("mine = 3", r"datasets.toml, \[mine\]: is no table"),
        ('[mine]\npath = "x.npz"', "loader is None; choose one of arrays, images"),
        ('[mine]\nloader = "python"\npath = "x.py"', "loader is 'python'"),
        ('[mine]\nloader = "arrays"', "path is None; it must be a str"),
        ('[mine]\nloader = "arrays"\npath = "x.npz"\nlabels = "no"', "labels is 'no'; it must be a bool"),
        ('[mine]\nloader = "arrays"\npath = "x.npz"\nsha = "1"', "unknown setting 'sha'"),
        ('[mine]\nloader = "arrays"\npath = "x.npz"\npreprocess = {}', "arrays are fed as they are"),
        ('[mine]\nloader = "arrays"\npath = "gone.npz"', "its files are missing"),
    ],
)
def test_a_mistake_in_an_entry_is_named(folder, text, message):
    describe(folder, text)
    with pytest.raises(DataError, match=message):
        open_source("mine", [IMAGE])


def test_a_mistake_in_the_preprocessing_of_an_entry_is_named(folder):
    describe(folder, '[mine]\nloader = "images"\npath = "pictures"\npreprocess = { size = 3 }')
    with pytest.raises(RecipeError, match="no setting 'size'"):
        open_source("mine", [COLOUR])


def test_a_broken_file_does_not_keep_paths_from_being_opened(folder):
    describe(folder, "[mine")
    assert open_source("calib_data/x.npz", [IMAGE]).size == 3


def test_the_working_folder_comes_before_the_checkout_and_a_path_is_no_name(folder):
    describe(folder, '[photos]\nloader = "arrays"\npath = "x.npz"')
    assert find_dataset("photos") == Dataset("photos", "arrays", folder.resolve() / "x.npz")
    assert find_dataset("./photos") is None
    assert find_dataset("absent") is None


def test_names_are_listed_where_nothing_fits(folder):
    describe(folder, '[mine]\nloader = "arrays"\npath = "x.npz"')
    assert "mine" in dataset_names()
    with pytest.raises(DataError, match=r"'absent': no such data; give `digits`; .*names in datasets.toml are: mine"):
        open_source("absent", [IMAGE])


@pytest.mark.skipif(not (REPOSITORY / "calib_data").is_dir(), reason="the checkout's calib_data is not installed")
def test_every_committed_data_set_is_whole_and_opens(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "photos" in dataset_names()
    for name in dataset_names():
        dataset = find_dataset(name)
        assert dataset is not None
        assert dataset.sha256 is not None
        source = open_dataset(dataset, [COLOUR])
        assert sum(batch.size for batch in source.read(0, None, 16)) == source.size > 0
        assert f"{name}: sha256 {dataset.sha256[:12]}… verified." in source.notes
