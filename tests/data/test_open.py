from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quantlab.data.arrays import array_source
from quantlab.data.batch import InputSpec
from quantlab.data.digits import DigitsSource
from quantlab.data.image_folder import ImageFolderSource
from quantlab.data.open import open_source
from quantlab.data.random_source import RandomSource
from quantlab.errors import DataError

from .specs import IMAGE, MASK, TOKENS

SAMPLES = np.zeros((3, 1, 4, 4), np.float32)


def test_a_source_is_used_as_it_is():
    source = array_source(SAMPLES, [IMAGE])
    assert open_source(source, [IMAGE]) is source


@pytest.mark.parametrize("spec", [SAMPLES, {"input": SAMPLES}, (SAMPLES, np.arange(3))])
def test_arrays_in_memory_are_opened(spec):
    assert open_source(spec, [IMAGE]).size == 3


@pytest.mark.parametrize("as_text", [True, False])
def test_array_files_are_opened_by_text_and_by_path(tmp_path, as_text):
    path = tmp_path / "x.npy"
    np.save(path, SAMPLES)
    source = open_source(str(path) if as_text else path, [IMAGE])
    assert (source.name, source.size) == (str(path), 3)


@pytest.mark.parametrize("spec", ["nothing", "", "no/such/folder"])
def test_what_is_no_data_is_refused_with_the_forms_there_are(spec):
    with pytest.raises(DataError, match=r"\.npz or \.npy file"):
        open_source(spec, [IMAGE])


def test_a_file_of_another_kind_is_said_to_be_there(tmp_path):
    (tmp_path / "cat.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"cat\.jpg': is there, but no kind of data that is read; give"):
        open_source(str(tmp_path / "cat.jpg"), [IMAGE])


def test_a_name_that_is_a_data_set_and_a_folder_here_is_not_guessed_at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "calib_data").mkdir()
    (tmp_path / "calib_data" / "datasets.toml").write_text('[photos]\nloader = "images"\npath = "photos"\n')
    for folder in (tmp_path / "calib_data" / "photos", tmp_path / "photos"):
        folder.mkdir()
        Image.new("L", (4, 4)).save(folder / "1.png")
    with pytest.raises(DataError, match=r"here is a folder of that name: give \./photos for what is here"):
        open_source("photos", [IMAGE])
    assert isinstance(open_source("./photos", [IMAGE]), ImageFolderSource)


def test_a_model_without_inputs_is_refused():
    with pytest.raises(DataError, match="no inputs"):
        open_source(SAMPLES, [])


@pytest.mark.parametrize("spec", [3, None])
def test_an_object_that_holds_no_data_is_refused(spec):
    with pytest.raises(DataError, match="cannot be iterated"):
        open_source(spec, [IMAGE])


def test_a_folder_is_opened_as_images(tmp_path):
    (tmp_path / "cat").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "cat" / "1.png")
    source = open_source(tmp_path, [IMAGE])
    assert isinstance(source, ImageFolderSource)
    assert (source.name, source.size) == (str(tmp_path), 1)


def test_digits_are_opened_by_name_and_part():
    spec = InputSpec("image", np.dtype(np.float32), (None, 1, 32, 32))
    assert open_source("digits", [spec]) == DigitsSource("calibration", "image")
    assert open_source("digits:train", [spec]) == DigitsSource("train", "image")
    with pytest.raises(DataError, match="no such part; choose one of digits, digits:train"):
        open_source("digits:test", [spec])


@pytest.mark.parametrize("inputs", [[IMAGE], [TOKENS], [TOKENS, MASK]])
def test_digits_do_not_fit_other_networks(inputs):
    with pytest.raises(DataError, match="digits"):
        open_source("digits", inputs)


def test_random_data_are_made_only_for_their_name():
    assert isinstance(open_source("random", [IMAGE], seed=5), RandomSource)
    for spec in (Path("random"), "./random", "Random"):
        with pytest.raises(DataError, match="no such data"):
            open_source(spec, [IMAGE])
