from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quantlab.data.batch import Batches
from quantlab.data.image_folder import open_image_folder
from quantlab.data.preprocess import Preprocess
from quantlab.errors import DataError

from .specs import COLOUR, FREE, IMAGE, MASK, TOKENS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three classes of four images; the pixels are the class number times ten plus the image's."""
    for number, name in enumerate(("ant", "bee", "cat")):
        (tmp_path / name).mkdir()
        for image in range(4):
            Image.new("RGB", (20, 16), (number * 10 + image,) * 3).save(tmp_path / name / f"{image}.png")
    return tmp_path


def test_images_come_with_the_number_of_their_class_in_every_pass(folder):
    batches = Batches(open_image_folder(folder, [COLOUR], preprocess=Preprocess(scale=1.0)), 5)
    passes = [list(batches) for _ in range(2)]
    for read in passes:
        assert [b.size for b in read] == [5, 5, 2]
        pixels = np.concatenate([b.feeds["input"] for b in read])
        assert pixels.shape == (12, 3, 8, 8)
        labels = np.concatenate([b.labels for b in read if b.labels is not None])
        np.testing.assert_array_equal(pixels[:, 0, 0, 0] // 10, labels)
    np.testing.assert_array_equal(passes[0][1].feeds["input"], passes[1][1].feeds["input"])


def test_the_first_samples_are_a_stratified_pick_that_the_seed_decides(folder):
    picks = []
    for seed in (0, 0, 1, 2, 3):
        source = open_image_folder(folder, [COLOUR], seed=seed)
        labels = next(source.read(0, 6, 6)).labels
        assert labels is not None
        assert np.bincount(labels).tolist() == [2, 2, 2]
        picks.append(source.files)
    assert picks[0] == picks[1]
    assert len(set(picks)) > 1


def test_a_part_is_the_same_samples_as_in_the_whole(folder):
    source = open_image_folder(folder, [COLOUR])
    (whole,) = source.read(0, None, 12)
    (part,) = source.read(5, 9, 12)
    assert part.first == 5
    np.testing.assert_array_equal(part.feeds["input"], whole.feeds["input"][5:9])


def test_what_is_assumed_is_noted(folder):
    source = open_image_folder(folder, [COLOUR])
    assert any("no preprocessing was declared; assumed resize shorter side to 10" in note for note in source.notes)
    declared = open_image_folder(folder, [COLOUR], preprocess=Preprocess.named("imagenet"))
    assert not any("no preprocessing" in note for note in declared.notes)
    assert str(source).startswith(f"{folder}: 12 images of 3 classes; resize")


def test_a_grey_network_gets_grey_images(folder):
    assert next(open_image_folder(folder, [IMAGE]).read(0, 1, 1)).feeds["input"].shape == (1, 1, 4, 4)


def test_a_half_precision_and_an_integer_input_are_fed_in_their_own_type(folder):
    for dtype in (np.float16, np.uint8):
        spec = replace(COLOUR, dtype=np.dtype(dtype))
        assert next(open_image_folder(folder, [spec]).read(0, 1, 1)).feeds["input"].dtype == dtype


def test_images_of_other_sizes_get_batches_of_their_own_where_the_model_allows(folder):
    Image.new("RGB", (30, 16)).save(folder / "bee" / "wide.png")
    read = list(open_image_folder(folder, [FREE]).read(0, None, 13))
    assert sum(b.size for b in read) == 13
    assert {b.feeds["input"].shape[2:] for b in read} == {(16, 20), (16, 30)}


def test_a_corrupt_image_is_named_when_it_is_reached(folder):
    source = open_image_folder(folder, [COLOUR])
    source.files[7].write_bytes(b"\x89PNG\r\n\x1a\n cut")
    assert sum(b.size for b in source.read(0, 7, 4)) == 7
    with pytest.raises(DataError, match=f"{source.files[7].name}: cannot be read as an image"):
        list(source.read(0, None, 4))


def test_a_model_of_several_inputs_is_refused(folder):
    with pytest.raises(DataError, match="an image folder feeds one input"):
        open_image_folder(folder, [TOKENS, MASK])


def test_a_model_that_takes_no_images_is_refused(folder):
    with pytest.raises(DataError, match="an image has channels, height and width"):
        open_image_folder(folder, [TOKENS])
