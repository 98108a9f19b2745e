"""Runs models with torch, on the CPU or a CUDA device, behind the engine protocol.

Q/DQ pairs are computed literally, in float, as the arithmetic defines them (`affine.py`): a simulation of any
runtime, and on a GPU a fast one. Statistics of tapped tensors are counted on the device, where they lie.

The module imports no torch by itself: an engine is a description.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from quantlab.data.batch import Array, Feeds
from quantlab.engines.engine import Session, check_feeds
from quantlab.engines.tap import add_taps
from quantlab.engines.torch_device import device_named, import_torch, numerics
from quantlab.errors import CalibrationError, EngineError, ModelError, RecipeError
from quantlab.graph.model import Model
from quantlab.stats.tensor import TensorStatistics

if TYPE_CHECKING:
    from torch import Tensor

    from quantlab.engines.torch_statistics import DeviceCounters
    from quantlab.torchgraph.module import GraphModule


@dataclass(frozen=True, slots=True)
class Torch:
    """torch and its settings.

    Attributes:
        device: `cpu`, `cuda`, `cuda:1`, or `auto` for CUDA where there is one.
        threads: threads that share the work of one operator on the CPU, at least 1; None for torch's own number.
        allow_tf32: whether CUDA may round the factors of products to TF32, which is faster and less exact.
    """

    device: str = "auto"
    threads: int | None = None
    allow_tf32: bool = False

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise RecipeError(f"torch: threads is {self.threads}; give at least 1, or none for torch's own number")

    @property
    def name(self) -> str:
        """What users call it."""
        return "torch"

    @property
    def is_simulation(self) -> bool:
        """True: quantization is computed in float."""
        return True

    def open(self, model: Model, taps: Sequence[str] = ()) -> Session:
        """Load a model.

        Args:
            model: the model to run.
            taps: names of further tensors that `run` returns besides the model's outputs.

        Raises:
            EngineError: a tap is no tensor of the model, there is no such device, or torch cannot run an operator.
            EngineMissing: torch is not installed.
        """
        return _TorchSession(self, add_taps(model, taps))

    def open_counting(self, model: Model, taps: Sequence[str]) -> TorchCounting:
        """Load a model whose tapped tensors are counted on the device; see `engines.engine.CountsItself`.

        Raises:
            EngineError, EngineMissing: as `open`.
        """
        return TorchCounting(self, model, taps)

    def describe(self) -> dict[str, str]:
        """Return name, version and settings, for reports."""
        torch = import_torch()
        device = device_named(self.device)
        is_cuda = device.type == "cuda"
        return {
            "engine": self.name,
            "version": str(torch.__version__),
            "device": torch.cuda.get_device_name(device) if is_cuda else "cpu",
            "threads": "torch's own number" if self.threads is None else str(self.threads),
            "tf32": "on" if is_cuda and self.allow_tf32 else "off",
        }

    @contextlib.contextmanager
    def computing(self) -> Iterator[None]:
        """Compute without gradients, with this engine's settings, until the end of the block."""
        torch = import_torch()
        with numerics(threads=self.threads, allow_tf32=self.allow_tf32), torch.inference_mode():
            yield


class _TorchSession(Session):
    """A model that torch has loaded."""

    def __init__(self, engine: Torch, tapped: Model) -> None:
        super().__init__(tapped.inputs, tapped.outputs)
        self._engine = engine
        self._device = device_named(engine.device)
        self._module: GraphModule | None = _module_of(tapped, self._device)

    def _run(self, feeds: Feeds) -> Mapping[str, Array]:
        assert self._module is not None
        with self._engine.computing():
            outputs = self._module.run(on_device(feeds, self._device))
            # A copy even on the CPU: an output may be a view of a feed or of a weight.
            return {name: outputs[name].to("cpu", copy=True).numpy() for name in self.outputs}

    def _close(self) -> None:
        self._module = None


class TorchCounting:
    """A model whose tapped tensors are counted as soon as they are computed, where they lie, and then let go."""

    def __init__(self, engine: Torch, model: Model, taps: Sequence[str]) -> None:
        self._engine = engine
        self._device = device_named(engine.device)
        self._taps = tuple(dict.fromkeys(taps))
        self._inputs = model.inputs
        # Taps are outputs, so that no two nodes are computed as one across them.
        self._module: GraphModule | None = _module_of(add_taps(model, taps), self._device)
        self._counters = _counters_on(self._device)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._module = None

    def add(self, feeds: Feeds, *, batch: str) -> None:
        """Count every tapped tensor for a batch.

        Args:
            feeds: one array per model input.
            batch: what an error calls the batch.

        Raises:
            DataError: a feed is missing, unknown, or of a wrong dtype or shape.
            CalibrationError: a value is NaN or infinite.
            EngineError: the session is closed, or torch failed.
        """
        from quantlab.engines.torch_statistics import check_finite

        if self._module is None:
            raise EngineError("session: it is closed; open the model again")
        check_feeds(feeds, self._inputs)
        with self._engine.computing():
            tensors = on_device(feeds, self._device)
            self._module.visit(tensors, self._taps, self._counters.add)
            if self._counters.finish_batch():
                return
            # Computed once more, since no tensor was kept: the first that is not finite is to be named.
            self._module.visit(
                tensors, self._taps, lambda name, tensor: check_finite(tensor, where=f"tensor {name!r}, batch {batch}")
            )
        raise CalibrationError(f"batch {batch}: a value was not finite, but not when computed again; check the GPU")

    def statistics(self) -> Mapping[str, TensorStatistics]:
        """Return the statistics of every tapped tensor over the batches so far."""
        return self._counters.statistics()


def _module_of(model: Model, device: Any) -> GraphModule:  # noqa: ANN401 - torch is not imported here
    from quantlab.torchgraph.module import GraphModule

    try:
        return GraphModule(model).eval().to(device)
    except ModelError as error:
        raise EngineError(f"torch: {error}") from error


def _counters_on(device: Any) -> DeviceCounters:  # noqa: ANN401 - torch is not imported here
    from quantlab.engines.torch_statistics import DeviceCounters

    return DeviceCounters(device)


def on_device(feeds: Feeds, device: Any) -> dict[str, Tensor]:  # noqa: ANN401 - torch is not imported here
    """Return feeds as tensors on a device."""
    import numpy as np
    import torch

    # A copy: torch wants to be able to write, and feeds may be read-only.
    if device.type == "cpu":
        return {name: torch.from_numpy(np.array(array, order="C")) for name, array in feeds.items()}
    return {name: _pinned(array).to(device, non_blocking=True) for name, array in feeds.items()}


def _pinned(array: Array) -> Tensor:
    """Return a copy from which a GPU fetches by itself, at the full speed of the bus."""
    import numpy as np
    import torch

    dtype = torch.from_numpy(np.empty(0, array.dtype)).dtype
    pinned = torch.empty(array.shape, dtype=dtype, pin_memory=True)
    pinned.numpy()[...] = array
    return pinned
