"""What every engine is: something that opens a model and turns feeds into outputs.

An `Engine` is a frozen description (which runtime, how many threads); `open` loads a model and returns a `Session`,
a context manager with one verb, `run`. The base class checks feeds once, so an engine writes only `_run` and
`_close`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from quantlab.data.batch import Array, Feeds, InputSpec
from quantlab.errors import DataError, EngineError
from quantlab.graph.model import Model
from quantlab.stats.tensor import TensorStatistics


class Session(ABC):
    """A model loaded by a runtime; release it by leaving its `with` block."""

    def __init__(self, inputs: Sequence[InputSpec], outputs: Sequence[str]) -> None:
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self._is_open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_open = False
        self._close()

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Return the outputs by name.

        Args:
            feeds: one array per model input, of the input's dtype and a shape that fits.

        Raises:
            DataError: a feed is missing, unknown, or of a wrong dtype or shape.
            EngineError: the session is closed, or the runtime failed.
        """
        if not self._is_open:
            raise EngineError("session: it is closed; open the model again")
        check_feeds(feeds, self.inputs)
        return dict(self._run(feeds))

    @abstractmethod
    def _run(self, feeds: Feeds) -> Mapping[str, Array]:
        """Run the model on feeds that were checked."""

    def _close(self) -> None:
        """Release what the session holds."""


class Engine(Protocol):
    """A runtime and its settings."""

    @property
    def name(self) -> str:
        """What users call it, such as `onnxruntime`."""

    @property
    def is_simulation(self) -> bool:
        """Whether quantization is computed in float, step by step.

        The outputs then stand for those of another runtime; the latency stands for nothing.
        """

    def open(self, model: Model, taps: Sequence[str] = ()) -> Session:
        """Load a model.

        Args:
            model: the model to run.
            taps: names of further tensors that `run` returns besides the model's outputs.

        Raises:
            EngineError: the runtime refuses the model; the message names node and reason.
        """

    def describe(self) -> dict[str, str]:
        """Return name, version and settings, for reports."""


def engine_in_words(engine: Engine, processes: int = 1) -> str:
    """Return what computed, with its version and device, such as `torch 2.13.0 on NVIDIA H100 80GB HBM3`."""
    told = engine.describe()
    shared = "" if processes == 1 else f", {processes} processes"
    return f"{told['engine']} {told['version']} on {told.get('device', 'cpu')}{shared}"


class CountingSession(Protocol):
    """A loaded model whose tapped tensors are counted, not returned."""

    def add(self, feeds: Feeds, *, batch: str) -> None:
        """Count every tapped tensor for one batch, which errors call `batch`.

        Raises:
            DataError: a feed is missing, unknown, or of a wrong dtype or shape.
            CalibrationError: a value is NaN or infinite.
            EngineError: the runtime failed.
        """

    def statistics(self) -> Mapping[str, TensorStatistics]:
        """Return the statistics of every tapped tensor over the batches so far."""


@runtime_checkable
class CountsItself(Protocol):
    """An engine that counts tapped tensors where they lie, such as on a GPU; `collect` then copies none of them."""

    def open_counting(self, model: Model, taps: Sequence[str]) -> AbstractContextManager[CountingSession]:
        """Load a model; `taps` are names of tensors, inputs among them, and as for `Engine.open` else."""


def check_feeds(feeds: Feeds, inputs: Sequence[InputSpec]) -> None:
    """Check feeds against a model's inputs.

    Raises:
        DataError: a feed is missing, unknown, or of a wrong dtype or shape.
    """
    wanted = {spec.name: spec for spec in inputs}
    listing = ", ".join(str(spec) for spec in inputs)
    for name in feeds:
        if name not in wanted:
            raise DataError(f"input {name!r}: the model has no such input; its inputs are {listing}")
    for name, spec in wanted.items():
        if name not in feeds:
            raise DataError(f"input {name!r}: no data for it; got {', '.join(feeds) or 'nothing'}, need {listing}")
        array = feeds[name]
        if array.dtype != spec.dtype:
            raise DataError(f"input {name!r}: data are {array.dtype}, the model needs {spec.dtype}; convert them")
        if not _fits(array.shape, spec.shape):
            raise DataError(f"input {name!r}: data have shape {list(array.shape)}, the model needs {spec}")


def _fits(shape: tuple[int, ...], wanted: tuple[int | str | None, ...] | None) -> bool:
    if wanted is None:
        return True
    if len(shape) != len(wanted):
        return False
    return all(not isinstance(need, int) or need == have for have, need in zip(shape, wanted, strict=True))
