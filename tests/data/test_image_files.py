from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab.data.image_files import find_image_files, stratified_order
from quantlab.errors import DataError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@given(sizes=st.lists(st.integers(1, 12), min_size=1, max_size=6), seed=st.integers(0, 5))
def test_an_order_is_a_permutation_and_the_same_for_the_same_seed(sizes, seed):
    numbers = np.repeat(np.arange(len(sizes)), sizes)
    order = stratified_order(numbers, seed=seed)
    assert sorted(order) == list(range(len(numbers)))
    np.testing.assert_array_equal(order, stratified_order(numbers, seed=seed))


@given(classes=st.integers(1, 8), size=st.integers(1, 8), seed=st.integers(0, 5))
def test_classes_of_equal_size_take_turns(classes, size, seed):
    numbers = np.repeat(np.arange(classes), size)
    drawn = numbers[stratified_order(numbers, seed=seed)]
    for first in range(0, len(drawn), classes):
        assert sorted(drawn[first : first + classes]) == list(range(classes))


def test_classes_of_other_sizes_keep_their_proportions():
    sizes = [900, 90, 10]
    numbers = np.repeat(np.arange(3), sizes)
    drawn = numbers[stratified_order(numbers, seed=3)]
    for kept in (100, 500, 800):
        # to within one image of each class, and one more for those that others gain or lose
        np.testing.assert_allclose(np.bincount(drawn[:kept], minlength=3), np.array(sizes) * kept / 1000, atol=2)


def test_another_seed_gives_another_order():
    numbers = np.repeat(np.arange(4), 25)
    assert (stratified_order(numbers, seed=0) != stratified_order(numbers, seed=1)).any()


def test_classes_are_numbered_in_the_order_of_their_folders(tmp_path):
    touch(tmp_path, "zebra/1.png", "ant/2.JPG", "ünder/3.jpeg", "bär/deep/er/4.webp")
    found = find_image_files(tmp_path)
    assert found.classes == ("ant", "bär", "zebra", "ünder")
    assert found.labels is not None
    by_name = dict(zip((file.name for file in found.files), found.labels.tolist(), strict=True))
    assert by_name == {"2.JPG": 0, "4.webp": 1, "1.png": 2, "3.jpeg": 3}
    assert found.notes == ()


def test_hidden_entries_are_passed_over_and_others_are_noted(tmp_path):
    touch(tmp_path, "a/1.png", "a/._1.png", "a/.DS_Store", ".git/2.png", "a/notes.txt", "README")
    found = find_image_files(tmp_path)
    assert [file.name for file in found.files] == ["1.png"]
    assert found.notes == (f"{tmp_path}: 2 files that are no images were left out.",)


def test_images_without_class_folders_have_no_labels(tmp_path):
    touch(tmp_path, "1.png", "2.png", "docs/readme.txt")
    found = find_image_files(tmp_path)
    assert (len(found.files), found.labels, found.classes) == (2, None, ())
    assert "no labels and no accuracy" in found.notes[1]


def test_images_beside_class_folders_are_left_out_with_a_note(tmp_path):
    touch(tmp_path, "1.png", "a/2.png")
    found = find_image_files(tmp_path)
    assert len(found.files) == 1
    assert "left out, since in no class folder: 1 of the images." in found.notes[0]


def test_a_class_folder_without_images_keeps_its_number(tmp_path):
    touch(tmp_path, "a/1.png", "b/nothing.txt", "c/2.png")
    found = find_image_files(tmp_path)
    assert found.labels is not None
    assert sorted(found.labels) == [0, 2]
    assert "keep their number: b" in found.notes[1]


def test_folders_named_by_numbers_warn_where_text_order_differs(tmp_path):
    touch(tmp_path, *(f"{number}/1.png" for number in range(11)))
    assert "pad the names with zeros" in find_image_files(tmp_path).notes[0]
    touch(tmp_path / "few", *(f"{number}/1.png" for number in range(9)))
    assert find_image_files(tmp_path / "few").notes == ()


@pytest.mark.parametrize("names", [(), ("a/notes.txt",), ("readme.md",)])
def test_a_folder_without_images_is_refused(tmp_path, names):
    touch(tmp_path, *names)
    with pytest.raises(DataError, match="holds no images"):
        find_image_files(tmp_path)


def test_links_are_followed_and_circles_end(tmp_path):
    touch(tmp_path, "store/1.png", "store/2.png")
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a" / "link.png").symlink_to(tmp_path / "store" / "1.png")
    (root / "a" / "circle").symlink_to(root / "a")
    (root / "b").symlink_to(tmp_path / "store")
    found = find_image_files(root)
    assert sorted(file.name for file in found.files) == ["1.png", "2.png", "link.png"]


def test_a_link_that_leads_nowhere_is_listed_and_fails_when_read(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert len(find_image_files(tmp_path).files) == 1


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_refused_by_name(tmp_path):
    touch(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "b").chmod(0)
    try:
        with pytest.raises(DataError, match="b: cannot be listed"):
            find_image_files(tmp_path)
    finally:
        (tmp_path / "b").chmod(0o755)


def test_a_missing_folder_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match="absent: cannot be listed"):
        find_image_files(tmp_path / "absent")
