"""Turns one batch and a tapped model into parts of tapped tensors that stay under a memory cap.

    sample part:  as many samples as fit, floor(cap / 2 / bytes of one sample's taps), at least one
    tap group:    where one sample alone is too large, as many taps as fit, at least one; each group has a session

The cap is halved because whoever iterates still holds one part while the next is computed. Every tensor of every
sample comes once. Groups depend on the cap and on the first sample, never on the batch size. The cap holds for the
tapped tensors; weights and what the runtime needs for itself come on top.

ONNX Runtime hands its outputs over without copying them [measured: 40 taps of 2 MB raise the peak by 84 MB], so
binding outputs to buffers would gain nothing. It keeps every graph output until the run ends, wanted or not, hence
the groups need sessions of their own.

How large a sample's taps are is read from the graph's shapes where they tell it. Where they do not, a run of one sample
tells, in a session of its own that opens only for this: half a second for 100 MB of weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import onnx_ir as ir

from quantlab.data.batch import Array, Feeds
from quantlab.engines.engine import Engine, Session
from quantlab.engines.tap import add_taps
from quantlab.errors import RecipeError
from quantlab.graph.model import Model

DEFAULT_MEMORY_CAP_BYTES = 512 * 2**20

Shapes = dict[str, tuple[int, ...]]


def tapped_outputs(
    session: Session,
    feeds: Feeds,
    *,
    memory_cap_bytes: int = DEFAULT_MEMORY_CAP_BYTES,
    sample_bytes: int | None = None,
) -> Iterator[Mapping[str, Array]]:
    """Yield the outputs of a tapped session for a batch, a part of the samples at a time.

    Where the bytes of a sample are not known, the first part is one sample, whose bytes say how many more fit at
    once. A model whose batch size is fixed gets its batch whole. One sample is never split: `TappedModel` does that.

    Args:
        session: a session opened with taps.
        feeds: the batch; the first axis of every array counts its samples.
        memory_cap_bytes: the most bytes of outputs at once, at least 1.
        sample_bytes: the outputs' bytes for one sample, where known.

    Raises:
        RecipeError: the cap is below 1.
        DataError, EngineError: as `Session.run`.
    """
    _check_cap(memory_cap_bytes)
    size = _batch_size(feeds)
    if size <= 1 or _has_fixed_batch(session):
        yield session.run(feeds)
        return
    start = 0
    if sample_bytes is None:
        first = session.run(_samples(feeds, 0, 1))
        sample_bytes = sum(array.nbytes for array in first.values())
        yield first
        del first  # the next part must not come on top of this one
        start = 1
    part_size = max(1, _part_bytes(memory_cap_bytes) // max(1, sample_bytes))
    for begin in range(start, size, part_size):
        yield session.run(_samples(feeds, begin, begin + part_size))


def tap_groups(bytes_by_tap: Mapping[str, int], group_bytes: int) -> tuple[tuple[str, ...], ...]:
    """Return the taps in order, cut into groups of at most `group_bytes`, or of one tap that is larger.

    Args:
        bytes_by_tap: what each tap needs at once.
        group_bytes: the most bytes of a group.
    """
    groups: list[list[str]] = []
    used = 0
    for tap, size in bytes_by_tap.items():
        if not groups or used + size > group_bytes:
            groups.append([])
            used = 0
        groups[-1].append(tap)
        used += size
    return tuple(tuple(group) for group in groups)


def inferred_tap_bytes(model: Model, taps: Sequence[str]) -> dict[str, int] | None:
    """Return the bytes of every tapped tensor for one sample as the graph's shapes tell, or None where one does not.

    One sample is a batch of 1 where the inputs leave the batch free, by one name, else the batch that they fix. An
    element whose type the graph does not tell counts as 4 bytes.

    Args:
        model: a model whose shapes were inferred.
        taps: names of its tensors.
    """
    batches = {spec.shape[0] if spec.shape else None for spec in model.inputs}
    if len(batches) != 1:
        return None
    batch = batches.pop()
    values = model.values_by_name()
    sizes: dict[str, int] = {}
    for tap in taps:
        elements = _elements(values[tap], batch)
        if elements is None:
            return None
        sizes[tap] = elements * _item_bytes(values[tap])
    return sizes


def measure_taps(engine: Engine, model: Model, taps: Sequence[str], feeds: Feeds) -> dict[str, int]:
    """Return the bytes of every tapped tensor for some feeds, without keeping the tensors.

    Raises:
        EngineError: as `measure_shapes`.
    """
    return tap_bytes(model, measure_shapes(engine, model, taps, feeds))


def tap_bytes(model: Model, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Return the bytes of tensors of some shapes; an element whose type the graph does not tell counts as 4 bytes."""
    by_name = model.values_by_name()
    return {tap: math.prod(shape) * _item_bytes(by_name[tap]) for tap, shape in shapes.items()}


def measure_shapes(engine: Engine, model: Model, taps: Sequence[str], feeds: Feeds) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tapped tensor for some feeds, without keeping the tensors.

    The model is run with the shapes of the taps as outputs in place of the taps.

    Raises:
        EngineError: a tap is no tensor of the model, or the engine refuses the model.
    """
    tapped = add_taps(model, taps)
    graph = tapped.graph
    by_name = {value.name or "": value for value in graph.outputs}
    shapes = {tap: ir.node("Shape", [by_name[tap]]) for tap in dict.fromkeys(taps)}
    graph.extend(shapes.values())
    graph.outputs.clear()
    for index, node in enumerate(shapes.values()):
        node.name = node.outputs[0].name = f"quantlab.shape.{index}"
        graph.outputs.append(node.outputs[0])
    with engine.open(tapped) as session:
        measured = session.run(feeds)
    return {tap: tuple(map(int, measured[node.outputs[0].name or ""])) for tap, node in shapes.items()}


@dataclass(frozen=True, slots=True)
class _Group:
    """Taps that are read together."""

    session: Session
    taps: tuple[str, ...]
    sample_bytes: int


class TappedModel:
    """A model opened so that its taps can be read under a memory cap, one sample being too large included.

    Sessions are opened at the first batch, and closed at the end of the `with` block.
    """

    def __init__(
        self,
        engine: Engine,
        model: Model,
        taps: Sequence[str],
        *,
        memory_cap_bytes: int = DEFAULT_MEMORY_CAP_BYTES,
    ) -> None:
        _check_cap(memory_cap_bytes)
        add_taps(model, taps)  # a wrong name is told now, not at the first batch
        self._engine = engine
        self._model = model
        self._taps = tuple(dict.fromkeys(taps))
        self._memory_cap_bytes = memory_cap_bytes
        self._groups: list[_Group] = []
        self._measured: Shapes = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._groups = []
        self._stack.close()

    def run(self, feeds: Feeds) -> Iterator[Mapping[str, Array]]:
        """Yield tapped arrays by name; each part holds some samples of some taps.

        Args:
            feeds: the batch; the first axis of every array counts its samples.

        Raises:
            DataError, EngineError: as `Session.run`.
        """
        if self._taps and not self._groups:
            self._open(feeds)
        # Samples of another height or width take other bytes than those measured.
        is_measured = _sample_shapes(feeds) == self._measured
        for group in self._groups:
            known = group.sample_bytes if is_measured else None
            parts = tapped_outputs(group.session, feeds, memory_cap_bytes=self._memory_cap_bytes, sample_bytes=known)
            for part in parts:
                yield {tap: part[tap] for tap in group.taps}

    def _open(self, feeds: Feeds) -> None:
        sizes = inferred_tap_bytes(self._model, self._taps)
        if sizes is None:
            fixed = any(spec.fixed_batch is not None for spec in self._model.inputs)
            smallest = feeds if fixed else _samples(feeds, 0, 1)
            sizes = measure_taps(self._engine, self._model, self._taps, smallest)
        self._measured = _sample_shapes(feeds)
        for taps in tap_groups(sizes, _part_bytes(self._memory_cap_bytes)):
            session = self._stack.enter_context(self._engine.open(_without_outputs(self._model, taps), taps))
            self._groups.append(_Group(session, taps, sum(sizes[tap] for tap in taps)))


def _without_outputs(model: Model, kept: Iterable[str]) -> Model:
    """Return a clone that outputs only what is kept, so that the runtime holds nothing else."""
    clone = model.clone()
    wanted = set(kept)
    remaining = [value for value in clone.graph.outputs if value.name in wanted]
    clone.graph.outputs.clear()
    clone.graph.outputs.extend(remaining)
    return clone


def _samples(feeds: Feeds, start: int, stop: int) -> Feeds:
    return {name: array[start:stop] for name, array in feeds.items()}


def _sample_shapes(feeds: Feeds) -> Shapes:
    return {name: array.shape[1:] for name, array in feeds.items()}


def _batch_size(feeds: Feeds) -> int:
    """Return how many samples there are; 1 where the feeds do not agree on it, so that nothing is cut."""
    sizes = {array.shape[0] if array.ndim else 1 for array in feeds.values()}
    return sizes.pop() if len(sizes) == 1 else 1


def _has_fixed_batch(session: Session) -> bool:
    return any(spec.fixed_batch is not None for spec in session.inputs)


def _elements(value: ir.Value, batch: int | str | None) -> int | None:
    """Return how many elements a value has for one sample, or None where its shape does not tell.

    Args:
        value: with or without a shape.
        batch: the name of the axis that counts samples, where it is free.
    """
    if value.shape is None:
        return None
    elements = 1
    for size in (dim if isinstance(dim, int) else dim.value for dim in value.shape):
        if isinstance(size, int):
            elements *= size
        elif size is None or size != batch:
            return None
    return elements


def _item_bytes(value: ir.Value) -> int:
    return 4 if value.dtype is None else max(1, int(value.dtype.itemsize))


def _part_bytes(memory_cap_bytes: int) -> int:
    return max(1, memory_cap_bytes // 2)


def _check_cap(memory_cap_bytes: int) -> None:
    if memory_cap_bytes < 1:
        raise RecipeError(f"memory cap: it is {memory_cap_bytes} bytes; give at least 1")
