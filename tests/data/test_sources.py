"""What must hold for every source of samples."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quantlab.data.arrays import array_source, open_arrays
from quantlab.data.batch import Array, Batch, InputSpec, Source
from quantlab.data.digits import DigitsSource
from quantlab.data.image_folder import open_image_folder
from quantlab.data.iterable import Calls, iterable_source
from quantlab.data.open import open_source
from quantlab.data.random_source import RandomSource
from quantlab.errors import DataError

IMAGES = InputSpec("image", np.dtype(np.float32), ("N", 1, 32, 32))
SAMPLES = np.random.default_rng(0).normal(size=(11, 1, 32, 32))
LABELS = np.arange(11)


def folder(root: Path) -> Source:
    for number in range(11):
        (root / f"{number % 3}").mkdir(exist_ok=True)
        Image.new("L", (40, 36), number).save(root / f"{number % 3}" / f"{number}.png")
    return open_image_folder(root, [IMAGES])


def npz(root: Path) -> Source:
    np.savez(root / "x.npz", x=SAMPLES, y=LABELS)
    return open_arrays(root / "x.npz", [IMAGES])


def npy(root: Path) -> Source:
    np.save(root / "x.npy", SAMPLES)
    return open_arrays(root / "x.npy", [IMAGES])


SOURCES: dict[str, Callable[[Path], Source]] = {
    "arrays": lambda _: array_source((SAMPLES, LABELS), [IMAGES]),
    "npz": npz,
    "npy": npy,
    "image folder": folder,
    "batches": lambda _: iterable_source([(SAMPLES[:4], LABELS[:4]), (SAMPLES[4:], LABELS[4:])], [IMAGES]),
    "generator": lambda _: iterable_source(Calls(lambda: iter([SAMPLES[:7], SAMPLES[7:]])), [IMAGES]),
    "digits": lambda _: DigitsSource("calibration"),
    "random": lambda _: RandomSource((IMAGES,), size=11),
}


@pytest.fixture(params=list(SOURCES.values()), ids=list(SOURCES))
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    make: Callable[[Path], Source] = request.param
    return make(tmp_path)


def images(batches: list[Batch]) -> Array:
    return np.concatenate([batch.feeds["image"] for batch in batches])


def test_samples_are_the_same_in_every_pass_and_for_every_batch_size(source):
    (whole,) = source.read(0, 11, 11)
    for batch_size in (1, 4, 11, 50):
        read = list(source.read(0, 11, batch_size))
        np.testing.assert_array_equal(images(read), whole.feeds["image"])
        assert [batch.first for batch in read] == list(range(0, 11, batch_size))
        if whole.labels is not None:
            assert [int(v) for batch in read if batch.labels is not None for v in batch.labels] == whole.labels.tolist()


@pytest.mark.parametrize(("start", "stop"), [(0, 5), (3, 9), (10, 11), (4, 4), (6, 2)])
def test_a_part_is_the_same_samples_with_the_same_numbers(source, start, stop):
    (whole,) = source.read(0, 11, 11)
    read = list(source.read(start, stop, 2))
    assert [batch.first + i for batch in read for i in range(batch.size)] == list(range(start, stop))
    if read:
        np.testing.assert_array_equal(images(read), whole.feeds["image"][start:stop])


def test_feeds_have_the_dtype_of_the_model_and_labels_are_int64(source):
    batch = next(source.read(0, 2, 2))
    assert list(batch.feeds) == ["image"]
    assert batch.feeds["image"].dtype == np.float32
    assert batch.labels is None or batch.labels.dtype == np.int64


def test_the_size_if_known_is_the_number_of_samples(source):
    counted = sum(batch.size for batch in source.read(0, None, 64))
    assert source.size in (None, counted)


def test_reading_beyond_the_end_gives_what_there_is(source):
    total = sum(batch.size for batch in source.read(0, None, 64))
    assert sum(batch.size for batch in source.read(total - 1, total + 5, 4)) == 1
    assert list(source.read(total, None, 4)) == []


def test_a_batch_size_below_one_is_refused(source):
    with pytest.raises(DataError, match="batch size 0"):
        next(source.read(0, None, 0))


def test_two_passes_at_once_do_not_disturb_each_other(source):
    one, other = source.read(0, 11, 2), source.read(0, 11, 2)
    next(one)
    np.testing.assert_array_equal(images([next(other)]), images([next(source.read(0, 2, 2))]))
    np.testing.assert_array_equal(images([next(one)]), images([next(other)]))


def test_it_has_a_name(source):
    assert source.name


def test_opening_data_imports_no_heavy_package():
    code = (
        "import sys, quantlab.data.open, quantlab.data.split, quantlab.data.guard; "
        "heavy = {'PIL', 'scipy', 'torch', 'sklearn', 'numba'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def as_npz(root: Path, maps: Array) -> Source:
    np.savez(root / "x.npz", x=SAMPLES, y=maps)
    return open_source(root / "x.npz", [IMAGES], labels="any")


MAPS: dict[str, Callable[[Path, Array], Source]] = {
    "arrays": lambda _, maps: open_source((SAMPLES, maps), [IMAGES], labels="any"),
    "npz": as_npz,
    "batches": lambda _, maps: open_source([(SAMPLES[:4], maps[:4]), (SAMPLES[4:], maps[4:])], [IMAGES], labels="any"),
    "single samples": lambda _, maps: open_source(list(zip(SAMPLES, maps, strict=True)), [IMAGES], labels="any"),
}


@pytest.mark.parametrize("kind", MAPS)
def test_labels_of_any_form_come_with_their_samples_where_a_loss_of_ones_own_wants_them(kind, tmp_path):
    maps = np.arange(11 * 6, dtype=np.uint8).reshape(11, 2, 3)
    batches = list(MAPS[kind](tmp_path, maps).read(1, None, 4))
    assert all(batch.labels is None for batch in batches)
    truth = np.concatenate([batch.truth for batch in batches if batch.truth is not None])
    assert truth.dtype == np.uint8
    np.testing.assert_array_equal(truth, maps[1:])


def test_labels_of_any_form_are_refused_where_only_classes_are_known():
    with pytest.raises(DataError, match=r"these are int64\[11, 2\].*train on them with a loss of your own"):
        open_source((SAMPLES, np.zeros((11, 2), np.int64)), [IMAGES])
