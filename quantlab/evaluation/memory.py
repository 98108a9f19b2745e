"""How much memory a model takes while it runs, measured in a process of its own.

    peak = largest resident memory while the model is open and runs − resident memory with the runtime alone

The process first runs a one-node model, so that the runtime's own libraries are not counted. It then opens the model,
forgets the graph it was opened from, and samples its resident memory every millisecond over a few runs. In the
process that quantizes, memory freed earlier would hide part of the answer.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import quantlab
from quantlab.data.batch import Feeds
from quantlab.engines import ENGINES
from quantlab.engines.engine import Engine
from quantlab.errors import EngineError
from quantlab.graph.model import Model
from quantlab.graph.save import save

_LIMIT_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Memory:
    """What a model adds to the resident memory of a process.

    Attributes:
        peak_bytes: weights, activations and the runtime's buffers, at their largest.
        batch_size: samples per run.
    """

    peak_bytes: int
    batch_size: int

    def to_json(self) -> dict[str, int]:
        """Return plain values."""
        return asdict(self)

    def __str__(self) -> str:
        return f"peak memory {self.peak_bytes / 1e6:.1f} MB at batch {self.batch_size}"


def measure_memory(engine: Engine, model: Model, feeds: Feeds) -> Memory:
    """Return the peak memory of a model for some feeds.

    Args:
        engine: one that `ENGINES` lists, with its settings.
        model: what to run.
        feeds: one batch.

    Raises:
        EngineError: the engine is none of `ENGINES`, or the process that measures failed.
        ModelError: the model cannot be written to a temporary file.
    """
    options = _options(engine)
    if engine.name not in ENGINES or options is None:
        raise EngineError(f"memory: engine {engine.name!r} cannot be opened in another process")
    with tempfile.TemporaryDirectory(prefix="quantlab-") as folder:
        work = Path(folder)
        save(model, work / "model.onnx")
        # Feeds are numbered: an input's name may hold characters that a file's may not.
        np.savez(work / "feeds.npz", allow_pickle=False, **{str(i): array for i, array in enumerate(feeds.values())})
        request = {"engine": engine.name, "options": options, "inputs": list(feeds)}
        (work / "request.json").write_text(json.dumps(request), encoding="utf-8")
        _run_process(work)
        peak = json.loads((work / "result.json").read_text(encoding="utf-8"))["peak_bytes"]
    return Memory(peak, next(iter(feeds.values())).shape[0])


def _options(engine: object) -> dict[str, Any] | None:
    """Return the fields of an engine, or None where it cannot be made anew from plain values."""
    if not dataclasses.is_dataclass(engine) or isinstance(engine, type):
        return None
    fields = {field.name: getattr(engine, field.name) for field in dataclasses.fields(engine)}
    return None if any(dataclasses.is_dataclass(value) for value in fields.values()) else asdict(engine)


def _run_process(work: Path) -> None:
    package = str(Path(quantlab.__file__).parents[1])
    paths = [package, os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    command = [sys.executable, "-m", "quantlab.evaluation.memory_process", str(work)]
    try:
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=_LIMIT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"memory: measuring took more than {_LIMIT_SECONDS} seconds; use a smaller batch") from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or [f"exit code {error.returncode}"])[-1]
        raise EngineError(f"memory: the process that measures failed: {last}") from error
