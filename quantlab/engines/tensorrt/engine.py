"""TensorRT as an engine: a model in, a session out; the plan is built on the way, or was built before."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from quantlab.engines.tap import add_taps
from quantlab.engines.tensorrt.building import build_plan
from quantlab.engines.tensorrt.execution import Execution, RunSettings
from quantlab.engines.tensorrt.gpu import current_gpu
from quantlab.engines.tensorrt.memory import MemoryName, open_memory
from quantlab.engines.tensorrt.plan_file import PlanRecord, read_plan, read_record
from quantlab.engines.tensorrt.plugins import load_plugins
from quantlab.engines.tensorrt.runtimes import import_runtime, installed_runtime
from quantlab.engines.tensorrt.session import TensorRtSession
from quantlab.engines.tensorrt.settings import BuildSettings
from quantlab.engines.tensorrt.startup import process_logger
from quantlab.errors import QuantlabError
from quantlab.graph.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRT:
    """TensorRT or TensorRT-RTX and its settings.

    Attributes:
        settings: how plans are built.
        plan: a plan built before, which must be of the very model that is opened; None to build one each time.
        run: how plans are run.
        memory: the package that handles GPU memory.
    """

    settings: BuildSettings = field(default_factory=BuildSettings)
    plan: Path | None = None
    run: RunSettings = field(default_factory=RunSettings)
    memory: MemoryName = "auto"

    @property
    def name(self) -> str:
        """What users call it."""
        return "tensorrt"

    @property
    def is_simulation(self) -> bool:
        """False: what comes out is what is deployed."""
        return False

    def open(self, model: Model, taps: Sequence[str] = ()) -> TensorRtSession:
        """Build a model, or load the plan that was built from it.

        Args:
            model: the model to run.
            taps: names of further tensors that `run` returns besides the model's outputs; they keep layers from
                being fused, and a plan built before has none.

        Raises:
            EngineError: a tap is no tensor of the model, the plan is of another model, version or GPU, or TensorRT
                refuses the model.
            EngineMissing: TensorRT, or a package for GPU memory, is not installed.
            RecipeError: nothing tells the size of a free axis.
        """
        tapped = add_taps(model, taps)
        if self.plan is not None and not taps:
            return self._session(self.plan, *read_plan(self.plan, model=model), model=tapped)
        fed = {spec.name for spec in model.inputs}
        with tempfile.TemporaryDirectory(prefix="quantlab-") as folder:
            path = Path(folder) / "model.plan"
            # TensorRT has no output that is an input too; the session hands tapped inputs back itself.
            build_plan(add_taps(model, [tap for tap in taps if tap not in fed]), path, self.settings)
            return self._session(Path(model.name), *read_plan(path), model=tapped)

    def open_plan(self) -> TensorRtSession:
        """Load the plan without the model that it was built from.

        Raises:
            EngineError: there is no plan, or it is not for this version or GPU.
        """
        path = self.plan or Path("no plan")
        return self._session(path, *read_plan(path), model=None)

    def describe(self) -> dict[str, str]:
        """Return name, version and settings, for reports."""
        runtime = installed_runtime(self.settings.runtime)
        return {
            "engine": self.name,
            "runtime": runtime,
            "version": str(import_runtime(runtime).__version__),
            "gpu": str(current_gpu() or "none"),
            "threads": "GPU",
            "cuda_graph": "on" if self.run.cuda_graph else "off",
            "memory": self.memory,
            **({} if self.plan is None else {"products": read_record(self.plan).precisions}),
        }

    def _session(self, path: Path, data: bytes, record: PlanRecord, *, model: Model | None) -> TensorRtSession:
        trt = import_runtime(record.runtime)
        record.check(str(path), version=trt.__version__, gpu=current_gpu())
        load_plugins(trt, process_logger(trt), record.plugin_files(path))
        memory = open_memory(self.memory)  # first: loading a plan needs the context
        try:
            execution = Execution(trt, data, self.run)
        except QuantlabError:
            memory.close()
            raise
        return TensorRtSession(execution, memory, model=model, cuda_graph=self.run.cuda_graph)
