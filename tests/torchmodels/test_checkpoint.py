from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from quantlab.errors import ModelError

torch = pytest.importorskip("torch", reason="needs the torch extra")
pytestmark = pytest.mark.torch

from safetensors.torch import save_file  # noqa: E402 - after the check for torch

from quantlab.torchmodels.checkpoint import load_weights  # noqa: E402


def network(classes: int = 3) -> Any:
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Flatten(), torch.nn.Linear(8, classes)
    )


@pytest.fixture
def trained() -> Any:
    torch.manual_seed(7)
    return network()


def assert_equal(module: Any, other: Any) -> None:
    state = other.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in module.state_dict().items())


@pytest.mark.parametrize("name", ["net.pth", "net.bin", "net.safetensors"])
def test_a_state_dict_is_read_whatever_the_file_is_called(tmp_path: Path, trained: Any, name: str):
    path = tmp_path / name
    save = save_file if name.endswith("safetensors") else torch.save
    save(trained.state_dict(), path)
    module = network()
    assert load_weights(module, path).startswith(f"weights of {name}: 9 tensors, 56 numbers")
    assert_equal(module, trained)


def test_the_old_format_of_torch_is_read(tmp_path: Path, trained: Any):
    path = tmp_path / "old.pth"
    torch.save(trained.state_dict(), path, _use_new_zipfile_serialization=False)
    module = network()
    load_weights(module, path)
    assert_equal(module, trained)


@pytest.mark.parametrize("level", ["state_dict", "model", "model_state_dict"])
def test_a_training_scripts_checkpoint_holds_it_a_level_down(tmp_path: Path, trained: Any, level: str):
    path = tmp_path / "checkpoint.pth"
    wrapped = {f"module.{key}": value for key, value in trained.state_dict().items()}
    torch.save({"epoch": 3, level: wrapped, "optimizer": {"lr": 0.1}}, path)
    module = network()
    said = load_weights(module, path)
    assert f"under '{level}'" in said
    assert "without the 'module.'" in said
    assert_equal(module, trained)


def test_the_counter_of_batch_normalization_may_be_missing(tmp_path: Path, trained: Any):
    state = {key: value for key, value in trained.state_dict().items() if "num_batches" not in key}
    torch.save(state, tmp_path / "net.pth")
    load_weights(network(), tmp_path / "net.pth")


def test_tied_weights_are_there_once(tmp_path: Path):
    class Tied(torch.nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
            self.b.weight = self.a.weight

    state = {key: torch.ones_like(value) for key, value in Tied().state_dict().items() if key != "b.weight"}
    torch.save(state, tmp_path / "tied.pth")
    module = Tied()
    load_weights(module, tmp_path / "tied.pth")
    assert torch.equal(module.b.weight, torch.ones(2, 2))


def test_keys_that_do_not_fit_are_all_named_and_nothing_is_loaded(tmp_path: Path, trained: Any):
    state = trained.state_dict()
    state["head.weight"] = state.pop("3.weight")
    state["3.bias"] = torch.zeros(5)
    torch.save(state, tmp_path / "net.pth")
    module = network()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    with pytest.raises(ModelError) as caught:
        load_weights(module, tmp_path / "net.pth")
    for part in ("1 of 9 missing: 3.weight", "1 of 9 unexpected: head.weight", "3.bias [5] for [3]", "net.pth"):
        assert part in str(caught.value)
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


def test_of_many_keys_the_first_are_named(tmp_path: Path):
    torch.save({f"other.{i}": torch.zeros(1) for i in range(20)}, tmp_path / "net.pth")
    with pytest.raises(ModelError, match=r"20 of 20 unexpected: other\.0, .* and 15 more"):
        load_weights(network(), tmp_path / "net.pth")


class Bomb:
    """What runs a command where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("is_zip", [True, False])
def test_code_in_a_file_of_weights_never_runs(tmp_path: Path, *, is_zip: bool):
    path, mark = tmp_path / "bomb.pth", tmp_path / "ran"
    torch.save({"state_dict": Bomb(mark)}, path, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(ModelError, match="reading it could run any code; save the state dict alone"):
        load_weights(network(), path)
    assert not mark.exists()


def test_a_plain_pickle_never_runs(tmp_path: Path):
    path, mark = tmp_path / "bomb.pkl", tmp_path / "ran"
    path.write_bytes(pickle.dumps(Bomb(mark)))
    with pytest.raises(ModelError):
        load_weights(network(), path)
    assert not mark.exists()


def test_a_whole_module_is_refused_with_what_to_save(tmp_path: Path, trained: Any):
    torch.save(trained, tmp_path / "net.pth")
    with pytest.raises(ModelError, match=r"torch\.save\(module\.state_dict\(\), FILE\)"):
        load_weights(network(), tmp_path / "net.pth")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "it is empty"),
        (b"PK\x03\x04 cut off", "damaged"),
        (b"\x80\x02 cut off", "damaged"),
        (b"no weights at all", "neither a state dict of torch nor a whole file of safetensors"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes, complaint: str):
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=complaint) as caught:
        load_weights(network(), path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_holds_no_state_dict_is_named(tmp_path: Path):
    with pytest.raises(ModelError, match="there is no such file"):
        load_weights(network(), tmp_path / "none.pth")
    with pytest.raises(ModelError, match="this is a folder"):
        load_weights(network(), tmp_path)
    for item, told in ((torch.zeros(3), "a Tensor"), ({"epoch": 3, "best": 0.5}, "keys epoch, best")):
        torch.save(item, tmp_path / "odd.pth")
        with pytest.raises(ModelError, match=f"no state dict is in it, but {told}"):
            load_weights(network(), tmp_path / "odd.pth")
