"""The models of a run, opened when they are first asked for; of all that were opened the last few stay open."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from quantlab.contenders import engine_for
from quantlab.data.batch import InputSpec
from quantlab.engines.engine import Session
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.errors import RunError
from quantlab.opening import open_model
from quantlab.report.report import Report
from quantlab.serve.run_list import RunEntry, RunList

FLOAT = "fp32"
_MODEL_FILE = re.compile(r"model\.([\w-]+(?:\.[\w-]+)*)\.onnx")


@dataclass(frozen=True, eq=False, slots=True)
class OpenModel:
    """A model that is ready to run.

    Attributes:
        session: what runs it.
        is_simulated: whether another runtime stands in for the one it was made for; its latency tells nothing.
        threads: of the engine, in its own words.
    """

    session: Session
    is_simulated: bool
    threads: str

    @property
    def inputs(self) -> tuple[InputSpec, ...]:
        """What it is fed."""
        return self.session.inputs


@dataclass(eq=False, slots=True)
class ModelCache:
    """Models that stay open; one beyond `most` closes the one that was not used for longest.

    It is for one thread at a time.

    Attributes:
        engine: what runs models that it can.
        most: how many stay open.
    """

    engine: OnnxRuntime
    most: int = 6
    _open: OrderedDict[tuple[Path, int, int], OpenModel] = field(default_factory=OrderedDict)

    def open(self, path: Path) -> OpenModel:
        """Return the model of a file, opened now unless it is open and the file is the same as then.

        Raises:
            ModelError: it cannot be read.
            EngineError: the engine refuses it.
        """
        status = path.stat()
        key = (path, status.st_mtime_ns, status.st_size)
        if key not in self._open:
            model = open_model(path)
            engine = engine_for(model, self.engine)
            self._open[key] = OpenModel(engine.open(model), engine.is_simulation, engine.describe()["threads"])
        self._open.move_to_end(key)
        while len(self._open) > self.most:
            self._close(next(iter(self._open)))
        return self._open[key]

    def close(self) -> None:
        """Close every model."""
        for key in list(self._open):
            self._close(key)

    def _close(self, key: tuple[Path, int, int]) -> None:
        self._open.pop(key).session.__exit__(None, None, None)


def model_files(runs: RunList, entry: RunEntry, report: Report) -> Mapping[str, Path]:
    """Return the models that a run has written, the float one first, by what its tables call them.

    Raises:
        RunError: one of them is missing or lies outside the served folder, or there is no float model.
    """
    found = {}
    for name in report.content["files"]:
        match = _MODEL_FILE.fullmatch(str(name))
        if match:
            found[match[1].removesuffix(".int8")] = runs.file(entry, str(name))
    if FLOAT not in found:
        raise RunError(f"{entry.name}: the run has kept no models to try; make it again with an --out folder")
    return {FLOAT: found.pop(FLOAT), **found}
