"""Several processes that share one job, as `torchrun` starts them; without it, one process alone.

    torchrun --nproc-per-node 4 -m quantlab qat ...

Each process is a *rank*. All do the same, each on its share of the samples; what they find is exchanged, and only the
first writes, shows progress and prints. Bytes and sums travel over gloo, gradients of models on GPUs over NCCL.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from quantlab.errors import AnotherRankFailed, EngineError

# A rank may wait so long for another, which may have much larger samples.
_PATIENCE = timedelta(hours=2)
_FAILED = "quantlab.failed"
_AGAIN = "start the same command again, a training with --resume"


@dataclass(frozen=True, slots=True)
class Ranks:
    """The processes of a job, as one of them sees them.

    Attributes:
        number: of this process, from 0.
        size: how many there are.
        local: the number of this process on its own machine, which is also that of its GPU.
    """

    number: int = 0
    size: int = 1
    local: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this one writes, shows and prints."""
        return self.number == 0

    def device(self, name: str) -> str:
        """Return this process's own device for what users call `cuda` or `auto`.

        Raises:
            EngineError: there are not as many GPUs as processes, or one GPU is named for all of them.
        """
        if self.size == 1 or name == "cpu":
            return name
        import torch

        if name not in ("auto", "cuda"):
            raise EngineError(f"device {name!r}: several processes cannot share a GPU; give cuda, a GPU for each")
        if not torch.cuda.is_available():
            return name
        if self.local >= torch.cuda.device_count():
            raise EngineError(
                f"torchrun: process {self.local} of this machine has no GPU, there are {torch.cuda.device_count()}; "
                "lower --nproc-per-node, or give --device cpu"
            )
        return f"cuda:{self.local}"

    def gathered(self, content: bytes) -> list[bytes]:
        """Return what every process gave, in the order of their numbers; all must call it."""
        if self.size == 1:
            return [content]
        import torch
        from torch import distributed

        lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        distributed.all_gather(lengths, torch.tensor([len(content)]))
        padded = torch.zeros(max(int(length) for length in lengths) + 1, dtype=torch.uint8)
        padded[: len(content)] = torch.frombuffer(bytearray(content or b"0"), dtype=torch.uint8)[: len(content)]
        found = [torch.empty_like(padded) for _ in range(self.size)]
        distributed.all_gather(found, padded)
        return [part[: int(length)].numpy().tobytes() for part, length in zip(found, lengths, strict=True)]

    def from_first(self, content: bytes) -> bytes:
        """Return what the first process gave; all must call it."""
        return self.gathered(content if self.is_first else b"")[0]

    def summed(self, numbers: Sequence[float]) -> list[float]:
        """Return sums over all processes, the same bits in each; all must call it."""
        layout = f"={len(numbers)}d"
        rows = [struct.unpack(layout, part) for part in self.gathered(struct.pack(layout, *numbers))]
        return [sum(column) for column in zip(*rows, strict=True)]


ALONE = Ranks()
"""One process that shares nothing."""


@contextlib.contextmanager
def joined(device: str = "cpu") -> Iterator[Ranks]:
    """Join the processes that torchrun started, until the end of the block; without torchrun, be alone.

    Args:
        device: where models will be trained: decides how gradients travel.

    Raises:
        AnotherRankFailed: in every process but the first to fail, whose own error is the one to tell.
        EngineError: another process is gone and has told nobody why, as one that was killed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "RANK" not in os.environ:
        yield ALONE
        return
    # Else torch itself prints a trace of its C++ where another process is gone; it reads this when it is imported.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    import torch
    from torch import distributed
    from torch.distributed.rendezvous import rendezvous

    ranks = Ranks(*(int(os.environ.get(name, "0")) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))
    has_cuda = device != "cpu" and torch.cuda.is_available()
    store, _, _ = next(rendezvous("env://", timeout=_PATIENCE))
    try:
        if has_cuda:
            torch.cuda.set_device(ranks.device(device))
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if has_cuda else "gloo",
            store=store,
            rank=ranks.number,
            world_size=ranks.size,
            timeout=_PATIENCE,
        )
        yield ranks
    except (Exception, KeyboardInterrupt) as error:
        failed = _failed_so_far(store)
        if not has_cuda and distributed.is_initialized():
            distributed.destroy_process_group()  # others that wait for this process must not wait on
        if failed is None:
            raise EngineError(
                f"process {ranks.number} ends, because the first one is gone; if that has not told why, it was killed, "
                f"perhaps for want of memory: {_AGAIN}"
            ) from error
        if failed > 1:
            raise AnotherRankFailed(f"process {ranks.number} ends, because another one failed") from error
        if _is_broken_connection(error):
            raise EngineError(
                f"process {ranks.number} ends, because another one is gone without a word: killed, perhaps for want of "
                f"memory, or its machine is lost; {_AGAIN}"
            ) from error
        raise
    distributed.destroy_process_group()


def _failed_so_far(store: object) -> int | None:
    """Return how many processes have failed, this one included, or None where whoever counts is gone.

    What fails because another went away fails after it.
    """
    try:
        return int(store.add(_FAILED, 1))  # type: ignore[attr-defined] # torch is not imported here
    except RuntimeError:
        return None


def _is_broken_connection(error: BaseException) -> bool:
    """Whether an error is one of exchanging with other processes; gloo has no type of its own for it."""
    from torch import distributed

    return isinstance(error, distributed.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))
