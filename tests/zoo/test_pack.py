"""The split is stratified, disjoint and repeatable."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab.zoo.pack import pack, stratified_split


@given(
    labels=st.lists(st.integers(0, 4), min_size=12, max_size=80),
    calibration=st.integers(0, 6),
    evaluation=st.integers(0, 6),
    seed=st.integers(0, 9),
)
def test_a_split_is_disjoint_complete_and_of_the_sizes_asked_for(labels, calibration, evaluation, seed):
    parts = stratified_split(np.array(labels), {"calibration": calibration, "evaluation": evaluation}, seed)
    assert len(parts["calibration"]) == calibration
    assert len(parts["evaluation"]) == evaluation
    together = np.concatenate([parts["train"], parts["calibration"], parts["evaluation"]])
    np.testing.assert_array_equal(np.sort(together), np.arange(len(labels)))


def test_a_split_gives_every_class_its_share_within_one_sample():
    labels = np.repeat(np.arange(3), [50, 30, 20])
    parts = stratified_split(labels, {"calibration": 10, "evaluation": 33}, seed=0)
    assert np.bincount(labels[parts["calibration"]]).tolist() == [5, 3, 2]
    assert np.abs(np.bincount(labels[parts["evaluation"]]) - [16.5, 9.9, 6.6]).max() < 1


def test_a_split_follows_its_seed_alone():
    labels = np.arange(100) % 10
    first, again, other = (stratified_split(labels, {"evaluation": 40}, seed)["evaluation"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_packing_again_gives_the_shipped_arrays(tmp_path: Path):
    pytest.importorskip("sklearn")
    pack(tmp_path / "digits.npz")
    shipped_file = resources.files("quantlab.zoo") / "digits.npz"
    # The arrays, not the file: zlib may compress otherwise in another version.
    with shipped_file.open("rb") as stream, np.load(stream) as shipped, np.load(tmp_path / "digits.npz") as packed:
        assert set(packed) == set(shipped)
        for key in shipped:
            np.testing.assert_array_equal(packed[key], shipped[key])
    assert [path.name for path in tmp_path.iterdir()] == ["digits.npz"]
