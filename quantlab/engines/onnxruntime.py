"""Runs models with ONNX Runtime.

Opening serialises the model, with the tapped tensors as further outputs; running hands feeds in and arrays out.

Threads never spin. A spinning thread pool burns a core while it waits, so two open sessions slow each other: on two
cores a float network took 1.29 ms alone and 2.56 ms (p90 6.5 ms) in alternation with a second one; without spinning
it takes 1.68 ms and 1.69 ms (p90 1.77 ms). The price is the first of each pair: with several threads a deployment
that spins and has the machine to itself is faster than what is measured here. With one thread there is no difference.

`optimization="none"` switches every rewrite off, so that QuantizeLinear and DequantizeLinear are computed as they
stand, around float operators. This simulates INT8 of another runtime; its latency says nothing about that runtime.

Products are exact on every processor. On x86-64 without VNNI, ONNX Runtime by default multiplies uint8 by int8 with
an instruction whose sums saturate at 16 bits: a single convolution was off by 18 steps of its output. With
`session.x64quantprecision` it multiplies uint8 by uint8 instead. It obeys that setting on processors with VNNI too,
where nothing saturates and uint8 by int8 is faster, so the setting is made only where it is needed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from quantlab.data.batch import Array, Feeds
from quantlab.engines.engine import Session
from quantlab.engines.failures import failure_reason
from quantlab.engines.tap import add_taps
from quantlab.engines.unshare_weights import unshare_weights
from quantlab.errors import EngineError, EngineMissing, RecipeError
from quantlab.graph.model import Model
from quantlab.graph.save import needs_external_data, save, to_bytes
from quantlab.processor import read_processor

_NO_SPINNING = {"session.intra_op.allow_spinning": "0", "session.inter_op.allow_spinning": "0"}
EXACT_PRODUCTS = "session.x64quantprecision"
"""The setting of a session that keeps products exact on x86-64 without VNNI."""

_UNTOLD_RUNS = 2  # the first runs still plan their memory
_LOG_NOTHING = 4  # every failure is raised, so the runtime need not also write it to stderr


# What the profiler puts behind the name of a node.
_KERNEL = "_kernel_time"


@dataclass(frozen=True, slots=True)
class OnnxRuntime:
    """ONNX Runtime and its settings.

    Attributes:
        threads: threads that share the work of one operator, at least 1; None for one per physical core.
        providers: execution providers, the preferred one first.
        optimization: `all` as deployed; `none` computes quantization literally, in float.
        libraries: files of custom operator libraries.
    """

    threads: int | None = None
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    optimization: Literal["all", "none"] = "all"
    libraries: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise RecipeError(f"onnxruntime: threads is {self.threads}; give at least 1, or none for one per core")
        if self.optimization not in ("all", "none"):
            raise RecipeError(f"onnxruntime: optimization is {self.optimization!r}; choose 'all' or 'none'")
        if not self.providers:
            raise RecipeError("onnxruntime: there is no execution provider; name one, such as CPUExecutionProvider")

    @property
    def name(self) -> str:
        """What users call it."""
        return "onnxruntime"

    @property
    def is_simulation(self) -> bool:
        """Whether quantization is computed literally, in float."""
        return self.optimization == "none"

    def open(self, model: Model, taps: Sequence[str] = ()) -> Session:
        """Load a model.

        Args:
            model: the model to run.
            taps: names of further tensors that `run` returns besides the model's outputs.

        Raises:
            EngineError: a tap is no tensor of the model, or ONNX Runtime refuses the model.
            EngineMissing: a provider is not part of the installed ONNX Runtime.
        """
        tapped = _as_opened(model, taps)
        options = self._options()
        with _failures(f"{model.name}: cannot open it", model), _serialised(tapped) as source:
            inference = _inference_session(source, options, self._installed_providers())
        self._check_providers(inference)
        return _OnnxRuntimeSession(tapped, inference)

    def profile(self, model: Model, feeds: Feeds, runs: int) -> list[dict[str, float]]:
        """Return how long each kernel takes, as ONNX Runtime's own profiler tells it.

        Args:
            model: the model to run.
            feeds: one batch.
            runs: how many runs to tell, at least 1; two runs before them are left out.

        Returns:
            For each run, microseconds by the name of the executed node.

        Raises:
            EngineError: ONNX Runtime refuses the model, or fails while it runs.
        """
        with tempfile.TemporaryDirectory(prefix="quantlab-") as folder:
            options = self._options()
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder) / "profile")
            with _failures(f"{model.name}: cannot profile it", model), _serialised(_as_opened(model)) as source:
                inference = _inference_session(source, options, self._installed_providers())
                for _ in range(runs + _UNTOLD_RUNS):
                    inference.run(None, {name: np.ascontiguousarray(array) for name, array in feeds.items()})
                events = json.loads(Path(inference.end_profiling()).read_text(encoding="utf-8"))
        return kernel_times(events)[_UNTOLD_RUNS:]

    def describe(self) -> dict[str, str]:
        """Return name, version and settings, for reports."""
        return {
            "engine": self.name,
            "version": version("onnxruntime"),
            "providers": ", ".join(self.providers),
            "threads": "one per physical core" if self.threads is None else str(self.threads),
            "optimization": self.optimization,
            "spinning": "off",
            EXACT_PRODUCTS: _exact_products(),
        }

    def _options(self) -> Any:  # noqa: ANN401 - ONNX Runtime has no types
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads or 0
        options.inter_op_num_threads = 1
        options.log_severity_level = _LOG_NOTHING
        levels = onnxruntime.GraphOptimizationLevel
        options.graph_optimization_level = (
            levels.ORT_ENABLE_ALL if self.optimization == "all" else levels.ORT_DISABLE_ALL
        )
        for key, value in _NO_SPINNING.items():
            options.add_session_config_entry(key, value)
        options.add_session_config_entry(EXACT_PRODUCTS, _exact_products())
        for library in self.libraries:
            _register(options, library)
        return options

    def _installed_providers(self) -> list[str]:
        import onnxruntime

        installed = onnxruntime.get_available_providers()
        for provider in self.providers:
            if provider not in installed:
                raise EngineMissing(
                    f"onnxruntime: this installation has no {provider} (it has {', '.join(installed)}); "
                    "a GPU needs `pip install onnxruntime-gpu` in place of onnxruntime"
                )
        return list(self.providers)

    def _check_providers(self, inference: Any) -> None:  # noqa: ANN401 - ONNX Runtime has no types
        # A provider whose driver is missing is left out silently; numbers would then be those of the CPU.
        for provider in self.providers:
            if provider not in inference.get_providers():
                raise EngineError(f"onnxruntime: {provider} could not be started; check its driver and libraries")


class _OnnxRuntimeSession(Session):
    """A model that ONNX Runtime has loaded."""

    def __init__(self, model: Model, inference: Any) -> None:  # noqa: ANN401 - ONNX Runtime has no types
        import onnxruntime

        # The model itself is not kept: its weights would be in memory twice.
        super().__init__(model.inputs, model.outputs)
        self._model_name = model.name
        self._inference = inference
        self._run_options = onnxruntime.RunOptions()
        self._run_options.log_severity_level = _LOG_NOTHING

    def _run(self, feeds: Feeds) -> Mapping[str, Array]:
        contiguous = {name: np.ascontiguousarray(array) for name, array in feeds.items()}
        with _failures(f"{self._model_name}: it failed while running"):
            values = self._inference.run(list(self.outputs), contiguous, self._run_options)
        for name, value in zip(self.outputs, values, strict=True):
            if not isinstance(value, np.ndarray):
                raise EngineError(
                    f"onnxruntime: output {name!r} of {self._model_name} is a {type(value).__name__}, not a tensor; "
                    "remove it from the model's outputs"
                )
        return dict(zip(self.outputs, values, strict=True))

    def _close(self) -> None:
        self._inference = None


def kernel_times(events: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Return microseconds by executed node for every run that a profile of ONNX Runtime tells."""
    runs: list[dict[str, float]] = []
    current: dict[str, float] = {}
    for event in events:
        name = str(event.get("name", ""))
        if event.get("cat") == "Node" and name.endswith(_KERNEL):
            node = name.removesuffix(_KERNEL)
            current[node] = current.get(node, 0.0) + float(event["dur"])
        elif event.get("cat") == "Session" and name == "model_run":
            runs.append(current)
            current = {}
    return runs


def _as_opened(model: Model, taps: Sequence[str] = ()) -> Model:
    """Return a clone of a model in the form that ONNX Runtime loads here."""
    tapped = add_taps(model, taps)
    if read_processor().saturates_products:
        unshare_weights(tapped)  # ONNX Runtime rewrites each weight in place, and fails at the second reader
    return tapped


def _exact_products() -> str:
    """Return the value of `EXACT_PRODUCTS` on this processor."""
    return "1" if read_processor().saturates_products else "0"


def _inference_session(source: bytes | str, options: Any, providers: list[str]) -> Any:  # noqa: ANN401
    import onnxruntime

    inference = onnxruntime.InferenceSession(source, options, providers=providers, enable_fallback=0)
    # Kept there for changing providers later, which never happens here: it would be a second copy of the weights.
    if getattr(inference, "_model_bytes", None) is not None:
        inference._model_bytes = None
    return inference


@contextmanager
def _serialised(model: Model) -> Iterator[bytes | str]:
    """Yield what ONNX Runtime loads: the bytes, or the path of a temporary file where protobuf's limit is passed."""
    if not needs_external_data(model):
        yield to_bytes(model)
        return
    with tempfile.TemporaryDirectory(prefix="quantlab-") as folder:
        path = Path(folder) / "model.onnx"
        save(model, path)
        yield str(path)


@contextmanager
def _failures(what: str, model: Model | None = None) -> Iterator[None]:
    try:
        yield
    except _exception_classes() as error:
        raise EngineError(f"onnxruntime: {what}: {failure_reason(str(error), model)}") from error


def _exception_classes() -> tuple[type[Exception], ...]:
    """Return what ONNX Runtime raises; its own classes share no base but `Exception`."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = (item for item in vars(state).values() if isinstance(item, type) and issubclass(item, Exception))
    return (RuntimeError, ValueError, *own)


def _register(options: Any, library: str) -> None:  # noqa: ANN401 - ONNX Runtime has no types
    if not Path(library).is_file():
        raise EngineError(f"onnxruntime: operator library {library}: there is no such file")
    try:
        # A bare file name would be looked for on the loader's path, not in the working folder.
        options.register_custom_ops_library(str(Path(library).absolute()))
    except _exception_classes() as error:
        reason = failure_reason(str(error))
        raise EngineError(f"onnxruntime: operator library {library}: {reason}") from error
