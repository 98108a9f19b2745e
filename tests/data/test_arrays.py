from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantlab.data.arrays import array_source, open_arrays
from quantlab.data.batch import Batches
from quantlab.errors import DataError

from .specs import FREE, IMAGE, MASK, TOKENS

SAMPLES = np.arange(7 * 16, dtype=np.float32).reshape(7, 1, 4, 4)
LABELS = np.arange(7) % 3


def npz(folder: Path, **members: Any) -> Path:
    path = folder / "samples.npz"
    np.savez(path, **members)
    return path


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_samples_come_in_order_and_are_the_same_in_every_pass(batch_size):
    batches = Batches(array_source((SAMPLES, LABELS), [IMAGE]), batch_size)
    for _ in range(2):
        read = list(batches)
        np.testing.assert_array_equal(np.concatenate([b.feeds["input"] for b in read]), SAMPLES)
        assert [b.first for b in read] == list(range(0, 7, batch_size))
        assert [v for b in read if b.labels is not None for v in b.labels] == LABELS.tolist()


def test_a_part_of_the_source_is_read_from_its_start():
    read = list(Batches(array_source(SAMPLES, [IMAGE]), 2, start=2, stop=5))
    assert [(b.first, b.size) for b in read] == [(2, 2), (4, 1)]


def test_an_npz_is_read_once(tmp_path, monkeypatch):
    source = open_arrays(npz(tmp_path, input=SAMPLES, y=LABELS), [IMAGE])
    monkeypatch.setattr(np, "load", None)
    assert sum(b.size for b in source.read(0, None, 2)) == source.size == 7
    assert str(source).endswith("7 samples with labels")


def test_arrays_of_an_npz_that_are_not_needed_are_not_even_read(tmp_path):
    ids = np.ones((2, 5), np.int64)
    path = npz(tmp_path, input_ids=ids, attention_mask=ids, extra=np.array([{}], dtype=object))
    source = open_arrays(path, [TOKENS, MASK])
    assert source.notes == ("Not an input of the model, hence left out: extra.",)
    assert set(next(source.read(0, None, 2)).feeds) == {"input_ids", "attention_mask"}


def test_an_npy_is_memory_mapped_and_its_batches_are_not(tmp_path):
    path = tmp_path / "a b é.npy"
    np.save(path, SAMPLES)
    source = open_arrays(path, [IMAGE])
    assert isinstance(source.arrays["input"], np.memmap)
    batch = next(source.read(0, None, 2))
    assert type(batch.feeds["input"]) is np.ndarray
    assert not isinstance(batch.feeds["input"].base, np.memmap)


def test_an_npz_with_the_suffix_of_an_npy_is_read_as_what_it_is(tmp_path):
    path = npz(tmp_path, x=SAMPLES).rename(tmp_path / "samples.npy")
    assert open_arrays(path, [IMAGE]).size == 7


def test_values_are_cast_batch_by_batch():
    source = array_source({"input": SAMPLES.astype(np.uint8)}, [IMAGE])
    assert source.arrays["input"].dtype == np.uint8
    assert next(source.read(0, None, 2)).feeds["input"].dtype == np.float32


def test_a_sample_that_is_not_finite_is_named_by_file_input_and_number(tmp_path):
    spoiled = SAMPLES.copy()
    spoiled[5] = np.nan
    source = open_arrays(npz(tmp_path, x=spoiled), [IMAGE])
    with pytest.raises(DataError, match=r"samples.npz, input 'input': sample 5 holds NaN"):
        list(source.read(0, None, 2))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"a": SAMPLES, "b": SAMPLES}, "no array for input input; its keys are a, b"),
        ({"x": SAMPLES[:, 0]}, "channel axis is missing"),
        ({"x": SAMPLES, "y": LABELS[:-1]}, "different numbers of samples: input 7, labels 6"),
        ({"x": SAMPLES[:0]}, "holds no samples"),
        ({"x": np.array([{}, {}], dtype=object)}, "Python objects"),
        ({"x": SAMPLES, "y": np.array(["cat"] * 7)}, "one class number per sample"),
        ({}, "its keys are \\(none\\)"),
    ],
)
def test_an_npz_that_does_not_fit_is_refused_when_it_is_opened(tmp_path, members, message):
    with pytest.raises(DataError, match=f"samples.npz.*{message}"):
        open_arrays(npz(tmp_path, **members), [IMAGE])


@pytest.mark.parametrize("kept", [0, 1, 10, 200, 600])
def test_a_truncated_file_is_refused(tmp_path, kept):
    for path in (npz(tmp_path, x=SAMPLES), tmp_path / "samples.npy"):
        if path.suffix == ".npy":
            np.save(path, SAMPLES)
        cut_short = path.read_bytes()[:kept] if kept < path.stat().st_size - 64 else path.read_bytes()[:-64]
        path.write_bytes(cut_short)
        with pytest.raises(DataError, match="cannot be read"):
            open_arrays(path, [IMAGE])


def test_an_npz_damaged_inside_is_refused(tmp_path):
    path = tmp_path / "samples.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).normal(size=SAMPLES.shape))
    content = bytearray(path.read_bytes())
    content[300:310] = bytes(10)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"samples.npz: cannot be read"):
        open_arrays(path, [IMAGE])


def test_a_zip_of_other_things_is_refused(tmp_path):
    path = tmp_path / "samples.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no array")
    with pytest.raises(DataError, match=r"samples.npz"):
        open_arrays(path, [IMAGE])


@pytest.mark.parametrize("dtype", [object, np.float32])
def test_pickles_and_scalars_in_an_npy_are_refused(tmp_path, dtype):
    path = tmp_path / "one.npy"
    np.save(path, np.array(1, dtype=dtype), allow_pickle=True)
    with pytest.raises(DataError, match=r"one.npy"):
        open_arrays(path, [IMAGE])


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            open_arrays(path, [IMAGE])


def test_samples_of_free_height_and_width_keep_theirs():
    source = array_source(np.zeros((2, 3, 5, 9), np.float32), [FREE])
    assert next(source.read(0, None, 8)).feeds["input"].shape == (2, 3, 5, 9)
