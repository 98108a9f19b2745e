"""A file of weights → a module: state dicts of torch and safetensors. Reading one never runs code.

A state dict may lie a level down, as training scripts save it, and its keys may begin with what wrappers put there.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantlab.errors import EngineMissing, ModelError
from quantlab.graph.load import first_line

if TYPE_CHECKING:
    from torch import Tensor, nn

# Where training scripts keep the state dict, the averaged one first.
_LEVELS = ("state_dict_ema", "ema_state_dict", "model_ema", "state_dict", "model_state_dict", "model", "module")
# What DistributedDataParallel, torch.compile and Lightning put before every key.
_PREFIXES = ("module.", "_orig_mod.", "model.")
# What torch.save writes begins as a zip archive or, before torch 1.6, as a pickle.
_PICKLED = (b"PK", b"\x80")
_MOST_NAMED = 5


Rename = Callable[[Mapping[str, "Tensor"]], Mapping[str, "Tensor"]]


def load_weights(module: nn.Module, path: str | Path, rename: Rename | None = None) -> str:
    """Put the weights of a file into a module.

    Args:
        module: changed in place; unchanged where an error is raised.
        path: a state dict, written by `torch.save` or in the format of safetensors.
        rename: gives the names of the module to what bears those of files that its package publishes.

    Returns:
        A sentence about what was read.

    Raises:
        ModelError: there is no such file, it is damaged or holds more than tensors, or keys are missing, unexpected or
            of another shape; the message names them.
        EngineMissing: the package safetensors is needed and not installed.
    """
    path = Path(path)
    state, level = _state_of(_read(path), path)
    ours = set(module.state_dict())
    state, prefix = _without_prefix(state, ours)
    if rename is not None and not ours.issuperset(state):
        state = dict(rename(state))
    _check(module, state, path)
    module.load_state_dict(dict(state), strict=False)
    count = sum(tensor.numel() for tensor in state.values())
    where = f", under {level!r}" if level else ""
    cut = f", without the {prefix!r} before each name" if prefix else ""
    return f"weights of {path.name}: {len(state)} tensors, {count:,} numbers{where}{cut}"


def _read(path: Path) -> object:
    if path.is_dir():
        raise ModelError(f"weights {path}: this is a folder; give a file, or name the folder as transformers:./FOLDER")
    try:
        with path.open("rb") as file:
            begin = file.read(2)
    except OSError as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else str(error.strerror or error)
        raise ModelError(f"weights {path}: {reason}; give a state dict, .pth or .safetensors") from error
    if not begin:
        raise ModelError(f"weights {path}: it is empty (0 bytes); check that the file was copied whole")
    return _read_pickled(path) if begin.startswith(_PICKLED) else _read_safetensors(path)


def _read_pickled(path: Path) -> object:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"weights {path}: it holds more than tensors and plain values, or is damaged, and reading it could run any "
            "code; save the state dict alone: torch.save(module.state_dict(), FILE)"
        ) from error
    except Exception as error:  # what a damaged file makes of a parser
        raise ModelError(f"weights {path}: it is damaged, or no state dict ({first_line(error)})") from error


def _read_safetensors(path: Path) -> object:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise EngineMissing(
            f"weights {path}: reading it needs the package 'safetensors', which is not installed: "
            "pip install 'quantlab[torch]'"
        ) from error
    try:
        return load_file(path)
    except (SafetensorError, ValueError, KeyError, OSError) as error:
        raise ModelError(
            f"weights {path}: it is neither a state dict of torch nor a whole file of safetensors ({first_line(error)})"
        ) from error


def _state_of(content: object, path: Path) -> tuple[dict[str, Tensor], str]:
    """Return the state dict and the key it lay under, empty where it was the whole file."""
    import torch

    if isinstance(content, Mapping):
        tensors = {str(key): value for key, value in content.items() if isinstance(value, torch.Tensor)}
        if tensors and len(tensors) == len(content):
            return tensors, ""
        for level in _LEVELS:
            if isinstance(content.get(level), Mapping):
                return _state_of(content[level], path)[0], level
        if tensors:
            return tensors, ""
    held = f"keys {', '.join(map(str, list(content)[:_MOST_NAMED]))}" if isinstance(content, Mapping) else ""
    raise ModelError(f"weights {path}: no state dict is in it, but {held or f'a {type(content).__name__}'}")


def _without_prefix(state: dict[str, Tensor], wanted: set[str]) -> tuple[dict[str, Tensor], str]:
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in state) and not any(key in wanted for key in state):
            return {key.removeprefix(prefix): tensor for key, tensor in state.items()}, prefix
    return state, ""


def _check(module: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Refuse weights that do not fit, with all that is wrong in one message."""
    ours: dict[str, Any] = module.state_dict()
    shapes = {key: tuple(value.shape) for key, value in ours.items()}
    # Tied weights are saved once. `num_batches_tracked` is a counter that inference does not read.
    filled = {ours[key].data_ptr() for key in state if key in ours}
    absent = [key for key in ours if key not in state and not key.endswith("num_batches_tracked")]
    missing = [key for key in absent if not ours[key].numel() or ours[key].data_ptr() not in filled]
    unexpected = [key for key in state if key not in ours]
    wrong = [
        f"{key} {list(value.shape)} for {list(shapes[key])}"
        for key, value in state.items()
        if key in shapes and tuple(value.shape) != shapes[key]
    ]
    faults = [
        _listed("missing", missing, len(ours)),
        _listed("unexpected", unexpected, len(state)),
        _listed("of another shape", wrong, len(state)),
    ]
    if any(faults):
        raise ModelError(
            f"weights {path}: they do not fit {type(module).__name__}: {'; '.join(filter(None, faults))}; "
            "give the weights of this network, or name it with the settings it was trained with"
        )


def _listed(what: str, names: list[str], of: int) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"{len(names)} of {of} {what}: {', '.join(names[:_MOST_NAMED])}{more}"
