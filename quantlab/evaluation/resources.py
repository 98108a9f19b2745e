"""What a run takes of the machine while it goes on: processor, memory, and GPU where there is one.

    cores busy = processor time of this process / time passed, between two looks

A thread looks a few times a second; one look without a GPU took 0.2 ms on a busy machine of two cores. When
`MOST_LOOKS` are held, every second one is dropped and the pause between looks doubles, so a run of hours needs no more
room than one of seconds. Processes that measure memory on their own are not counted.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from quantlab.errors import EngineMissing
from quantlab.progress import Advance, Progress

MOST_LOOKS = 240
_FIRST_PAUSE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the machine.

    Attributes:
        seconds: since the start.
        cores: how many cores this process kept busy since the look before.
        memory_bytes: resident memory of this process.
        gpu_share: how busy the GPUs were, 0 to 1 each, summed; None without one.
        gpu_memory_bytes: memory in use on the GPUs, of all processes; None likewise.
        gpu_watts: power drawn; None likewise.
    """

    seconds: float
    cores: float
    memory_bytes: int
    gpu_share: float | None = None
    gpu_memory_bytes: int | None = None
    gpu_watts: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One long step of a run.

    Attributes:
        label: what it is called where it shows itself.
        start: seconds since the start.
        stop: likewise.
    """

    label: str
    start: float
    stop: float


@dataclass(frozen=True, slots=True)
class Resources:
    """What a run took.

    Attributes:
        looks: in order.
        steps: the long steps, in the order they began.
        gpus: names of the GPUs that were looked at.
        gpu_reason: why none was, or None.
    """

    looks: tuple[Look, ...]
    steps: tuple[Step, ...]
    gpus: tuple[str, ...] = ()
    gpu_reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values: a list per quantity, rounded to what was measured."""
        columns: dict[str, list[float | int | None]] = {
            "seconds": [round(look.seconds, 2) for look in self.looks],
            "cores": [round(look.cores, 2) for look in self.looks],
            "memory_bytes": [look.memory_bytes for look in self.looks],
        }
        if self.gpus:
            columns["gpu_share"] = [look.gpu_share for look in self.looks]
            columns["gpu_memory_bytes"] = [look.gpu_memory_bytes for look in self.looks]
            columns["gpu_watts"] = [look.gpu_watts for look in self.looks]
        steps = [{**asdict(step), "start": round(step.start, 2), "stop": round(step.stop, 2)} for step in self.steps]
        return {"looks": columns, "steps": steps, "gpus": list(self.gpus), "gpu_reason": self.gpu_reason}


class Gpus(Protocol):
    """Looks at GPUs."""

    @property
    def names(self) -> tuple[str, ...]:
        """What they are called."""
        ...

    def look(self) -> tuple[float, int, float | None]:
        """Return the share that is busy, the bytes in use and the watts drawn, summed over all."""
        ...


@dataclass(slots=True)
class _Seen:
    looks: list[Look] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    pause: float = _FIRST_PAUSE_SECONDS

    def add(self, look: Look) -> None:
        self.looks.append(look)
        if len(self.looks) >= MOST_LOOKS:
            self.looks = self.looks[::2]
            self.pause *= 2


class Monitor:
    """Looks at the machine from when it is entered until it is left.

    Args:
        clock: seconds, increasing.
        gpus: what looks at GPUs; None for those that NVIDIA's library finds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter, gpus: Gpus | None = None) -> None:
        self._clock, self._gpus, self._gpu_reason = clock, gpus, None if gpus else ""
        self._seen, self._stopped = _Seen(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="quantlab-monitor", daemon=True)
        self._begin = 0.0

    def __enter__(self) -> Monitor:
        if self._gpus is None:
            try:
                from quantlab.evaluation.resources_gpu import open_gpus

                self._gpus = open_gpus()
            except EngineMissing as error:
                self._gpu_reason = str(error)
        self._begin = self._clock()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def watching(self, progress: Progress) -> Progress:
        """Return what shows the same progress and notes when each step began and ended."""

        @contextlib.contextmanager
        def watched(label: str, total: int | None) -> Iterator[Advance]:
            start = self._clock() - self._begin
            with progress(label, total) as advance:
                try:
                    yield advance
                finally:
                    self._seen.steps.append(Step(label, start, self._clock() - self._begin))

        return watched

    def result(self) -> Resources:
        """Return what was seen so far."""
        steps = tuple(sorted(self._seen.steps, key=lambda step: step.start))
        names = () if self._gpus is None else self._gpus.names
        return Resources(tuple(self._seen.looks), steps, names, self._gpu_reason)

    def _watch(self) -> None:
        import psutil

        process = psutil.Process()
        before, spent = self._clock(), sum(process.cpu_times()[:2])
        while True:
            is_last = self._stopped.wait(self._seen.pause)
            now, total = self._clock(), sum(process.cpu_times()[:2])
            cores = max(0.0, total - spent) / max(now - before, 1e-9)
            gpu = (None, None, None) if self._gpus is None else self._gpus.look()
            self._seen.add(Look(now - self._begin, cores, process.memory_info().rss, *gpu))
            before, spent = now, total
            if is_last:
                return
