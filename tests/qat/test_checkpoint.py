import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from quantlab.errors import RunError
from quantlab.qat.checkpoint import Checkpoint
from quantlab.qat.history import EpochRecord, Score

RECORD = EpochRecord(0, 2, None, Score("loss", 0, 0, 0.1 + 0.2), None, 1.5)


def checkpoint() -> Checkpoint:
    shared = torch.arange(4.0)
    tensors = {"module.a/b::c": shared, "best.a/b::c": shared, "module.scalar": torch.tensor(0.1), "x": shared[::2]}
    return Checkpoint("abc", (RECORD,), 3, tensors)


def test_a_checkpoint_comes_back_bit_for_bit(tmp_path: Path):
    checkpoint().save(tmp_path / "c")
    loaded = Checkpoint.load(tmp_path / "c")
    assert loaded is not None
    assert (loaded.fingerprint, loaded.records, loaded.updates) == ("abc", (RECORD,), 3)
    assert loaded.tensors.keys() == checkpoint().tensors.keys()
    assert all(torch.equal(loaded.tensors[key], tensor) for key, tensor in checkpoint().tensors.items())
    assert loaded.of_kind("module").keys() == {"a/b::c", "scalar"}
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_the_folder_is_made_where_there_is_none(tmp_path: Path):
    checkpoint().save(tmp_path / "new" / "c")
    assert Checkpoint.load(tmp_path / "new" / "c") is not None


def test_there_may_be_none(tmp_path: Path):
    assert Checkpoint.load(tmp_path / "nothing") is None


@pytest.mark.parametrize("header", [None, {}, {"quantlab.qat": "{"}, {"quantlab.qat": json.dumps({"version": 1})}])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, header):
    path = tmp_path / "c"
    if header is None:
        path.write_bytes(b"not tensors")
    else:
        save_file({"x": torch.zeros(1)}, path, header)
    with pytest.raises(RunError, match=r"no checkpoint of a training .*start without --resume"):
        Checkpoint.load(path)


def test_a_checkpoint_of_another_version_is_refused(tmp_path: Path):
    save_file({"x": torch.zeros(1)}, tmp_path / "c", {"quantlab.qat": json.dumps({"version": 99})})
    with pytest.raises(RunError, match="version 99"):
        Checkpoint.load(tmp_path / "c")


def test_a_folder_that_cannot_be_written_is_an_error_that_says_so(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be written"):
        checkpoint().save(tmp_path / "file" / "c")
