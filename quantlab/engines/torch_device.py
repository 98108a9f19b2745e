"""Where torch computes and how exactly: the device by name, and settings that hold for one block of code only.

TF32 rounds the factors of float32 products to 10 bits: a thousand times coarser than float32, and coarser than the
half step that decides an integer. It is off unless asked for; cuDNN's own default is on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from quantlab.errors import EngineError, EngineMissing

if TYPE_CHECKING:
    from torch import device as TorchDevice  # noqa: N812 - as torch.device, beside a local import of torch


def import_torch() -> Any:  # noqa: ANN401 - a module
    """Return the package torch.

    Raises:
        EngineMissing: it is not installed.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise EngineMissing(
            "running models in torch and training them need the package 'torch', which is not installed: "
            "pip install 'quantlab[torch]'"
        ) from error
    return torch


def device_named(name: str) -> TorchDevice:
    """Return the device that users call `cpu`, `cuda`, `cuda:1`, or `auto` for CUDA where there is one.

    Raises:
        EngineError: there is no such device here.
        EngineMissing: torch is not installed.
    """
    torch = import_torch()
    has_cuda = torch.cuda.is_available()
    try:
        device: TorchDevice = torch.device(("cuda" if has_cuda else "cpu") if name == "auto" else name)
    except RuntimeError as error:
        raise EngineError(f"torch: device {name!r} is unknown; choose auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise EngineError(f"torch: device {name!r} is not supported; choose auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (not has_cuda or (device.index or 0) >= torch.cuda.device_count()):
        raise EngineError(f"torch: there is no device {name!r} here; check the driver, or choose cpu")
    return device


@contextlib.contextmanager
def numerics(*, threads: int | None = None, allow_tf32: bool = False) -> Iterator[None]:
    """Compute with so many threads, with or without TF32, until the end of the block.

    Args:
        threads: threads that share the work of one operator on the CPU; None leaves torch's number.
        allow_tf32: whether CUDA may round the factors of products to TF32.
    """
    torch = import_torch()
    backends = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn)
    precisions = [backend.fp32_precision for backend in backends]
    threads_before = torch.get_num_threads()
    try:
        for backend in backends:
            backend.fp32_precision = "tf32" if allow_tf32 else "ieee"
        if threads is not None:
            torch.set_num_threads(threads)
        yield
    finally:
        for backend, precision in zip(backends, precisions, strict=True):
            backend.fp32_precision = precision
        torch.set_num_threads(threads_before)
