"""The process that `memory` starts: reads a request from a folder, runs the model, writes the peak back there.

python -m quantlab.evaluation.memory_process FOLDER
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import onnx_ir as ir

from quantlab.data.batch import Array
from quantlab.engines import engine_named
from quantlab.engines.engine import Engine
from quantlab.graph.load import load
from quantlab.graph.model import Model
from quantlab.graph.save import to_bytes

_RUNS = 3
_PERIOD_SECONDS = 0.001
_ONE_NODE = '<ir_version: 10, opset_import: ["" : 21]> alone (float[1] x) => (float[1] y) { y = Identity(x) }'


class ResidentPeak:
    """Watches the resident memory of this process in a thread."""

    def __init__(self) -> None:
        import psutil

        self._process = psutil.Process()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_bytes = 0

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._stop.wait(_PERIOD_SECONDS):
            self._look()

    def _look(self) -> None:
        self.peak_bytes = max(self.peak_bytes, resident_bytes(self._process))


def resident_bytes(process: object) -> int:
    """Return the resident memory of a `psutil.Process`."""
    return int(process.memory_info().rss)  # type: ignore[attr-defined]


def peak_bytes(engine: Engine, model_path: Path, feeds: dict[str, Array]) -> int:
    """Return by how much opening and running a model raises the resident memory of this process."""
    import psutil

    with engine.open(load(to_bytes(Model(ir.from_onnx_text(_ONE_NODE))))) as session:
        session.run({"x": np.zeros(1, np.float32)})
    _hand_back_freed_memory()
    before = resident_bytes(psutil.Process())
    with engine.open(load(model_path)) as session:
        _hand_back_freed_memory()
        with ResidentPeak() as watch:
            for _ in range(_RUNS):
                session.run(feeds)
    return max(0, watch.peak_bytes - before)


def _hand_back_freed_memory() -> None:
    """Free what opening left behind; glibc keeps freed memory for later, which would count as the model's."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def main(folder: str) -> None:
    """Serve the request in a folder."""
    work = Path(folder)
    request = json.loads((work / "request.json").read_text(encoding="utf-8"))
    options = {key: tuple(item) if isinstance(item, list) else item for key, item in request["options"].items()}
    with np.load(work / "feeds.npz", allow_pickle=False) as arrays:
        feeds = {name: arrays[str(index)] for index, name in enumerate(request["inputs"])}
    peak = peak_bytes(engine_named(request["engine"], **options), work / "model.onnx", feeds)
    (work / "result.json").write_text(json.dumps({"peak_bytes": peak}), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
