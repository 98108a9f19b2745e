"""A training on disk after each epoch: everything that going on bit for bit needs, in one file, written atomically.

The file is in the format of safetensors, tensors and a JSON header: reading it runs no code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from quantlab.errors import EngineMissing, RunError
from quantlab.files import replacing
from quantlab.qat.history import EpochRecord

_VERSION = 1
_HEADER = "quantlab.qat"


@dataclass(frozen=True, eq=False, slots=True)
class Checkpoint:
    """A training after some epochs.

    Attributes:
        fingerprint: what tells this training from others: a hash of models, samples and settings.
        records: the start and the epochs done.
        updates: how often the moving average was updated.
        tensors: by kind and name: `module.…`, `best.…`, `average.…`, and the optimizer's.
    """

    fingerprint: str
    records: tuple[EpochRecord, ...]
    updates: int
    tensors: Mapping[str, Tensor]

    def of_kind(self, kind: str) -> dict[str, Tensor]:
        """Return the tensors of one kind by name."""
        prefix = f"{kind}."
        return {key.removeprefix(prefix): value for key, value in self.tensors.items() if key.startswith(prefix)}

    def save(self, path: Path) -> None:
        """Write the checkpoint, and its folder where there is none; the one before stays until this one is whole.

        Raises:
            RunError: the file cannot be written.
            EngineMissing: safetensors is not installed.
        """
        try:
            from safetensors import SafetensorError
            from safetensors.torch import save_file
        except ModuleNotFoundError as error:
            raise _missing() from error
        state = {
            "version": _VERSION,
            "fingerprint": self.fingerprint,
            "records": [record.to_json() for record in self.records],
            "updates": self.updates,
        }
        tensors = {key: value.detach().cpu().clone().contiguous() for key, value in self.tensors.items()}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                save_file(tensors, temporary, {_HEADER: json.dumps(state)})
        except (OSError, SafetensorError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise RunError(f"{path}: cannot be written ({reason}); free space or choose another --out") from error

    @classmethod
    def load(cls, path: Path) -> Checkpoint | None:
        """Read a checkpoint, or return None where there is no file.

        Raises:
            RunError: the file is no checkpoint of this version.
            EngineMissing: safetensors is not installed.
        """
        if not path.exists():
            return None
        try:
            from safetensors import SafetensorError, safe_open
        except ModuleNotFoundError as error:
            raise _missing() from error
        try:
            with safe_open(path, "pt") as file:
                state = json.loads((file.metadata() or {})[_HEADER])
                if state["version"] != _VERSION:
                    raise RunError(f"{path}: a checkpoint of version {state['version']}, not {_VERSION}; start anew")
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no mapping
            records = tuple(EpochRecord.from_json(record) for record in state["records"])
            return cls(state["fingerprint"], records, state["updates"], tensors)
        except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
            raise RunError(f"{path}: this is no checkpoint of a training ({error}); start without --resume") from error


def _missing() -> EngineMissing:
    return EngineMissing("checkpoints need the package 'safetensors', which is missing: pip install 'quantlab[torch]'")
