"""A built plan on disk, and the side-car that says what it is: `NAME.plan` and `NAME.plan.json`.

A plan runs only in the version of TensorRT that built it, on the kind of GPU it was built for, and nothing in it says
which model it came from. Given another one, TensorRT fails late or, worse, runs yesterday's weights. The side-car
holds the hashes and versions that `read_plan` compares first.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from quantlab.engines.tensorrt.gpu import Gpu
from quantlab.engines.tensorrt.layers import EngineLayer
from quantlab.engines.tensorrt.shapes import ShapeRange
from quantlab.errors import EngineError
from quantlab.files import replacing
from quantlab.graph.model import Model
from quantlab.graph.save import to_bytes

_FORMAT = 1
_CHUNK_BYTES = 2**24


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """What a plan was built from, by what, for what.

    Attributes:
        runtime: `tensorrt` or `tensorrt_rtx`.
        version: its version.
        onnx_sha256: the fingerprint of the model, see `fingerprint`.
        plan_sha256: the hash of the plan.
        shapes: the range of every input.
        gpu: the GPU of the machine that built it, or None where there was none.
        compute_capabilities: the GPUs it was built for; empty for the one that built it or, of TensorRT-RTX, for all
            that it supports.
        plugins: by path, the hash of every file with custom operators.
        layers: what the engine consists of.
        warnings: what the builder warned about.
        seconds: how long the build took.
        weights_bytes: the weights in the engine, as the builder counts them; None where it does not.
        activations_bytes: likewise, what one execution context needs for the largest shapes.
    """

    runtime: str
    version: str
    onnx_sha256: str
    plan_sha256: str
    shapes: Mapping[str, ShapeRange]
    gpu: Gpu | None = None
    compute_capabilities: tuple[str, ...] = ()
    plugins: Mapping[str, str] | None = None
    layers: tuple[EngineLayer, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    weights_bytes: int | None = None
    activations_bytes: int | None = None

    @property
    def built_for(self) -> str:
        """The GPUs that can run the plan, in words."""
        if self.runtime == "tensorrt" and self.gpu is not None:
            return str(self.gpu)
        listing = " or ".join(self.compute_capabilities)
        return f"compute capability {listing}" if listing else f"every GPU that {self.runtime} supports"

    @property
    def precisions(self) -> str:
        """How many of its products are computed in which type, such as `12 int8, 3 float16`."""
        products = [layer.precision for layer in self.layers if layer.is_product]
        return ", ".join(f"{count} {word}" for word, count in Counter(products).most_common()) or "unknown"

    def to_json(self) -> str:
        """Return the record as JSON text that `from_json` reads back."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> PlanRecord:
        """Read what `to_json` wrote.

        Raises:
            ValueError, LookupError, TypeError, AttributeError: it is something else.
        """
        data = json.loads(text)
        if data.pop("format") != _FORMAT:
            raise ValueError("it is of another version of quantlab")
        ranges = {name: {end: _tupled(v) for end, v in item.items()} for name, item in data["shapes"].items()}
        data["shapes"] = {name: ShapeRange(**item) for name, item in ranges.items()}
        data["gpu"] = None if data["gpu"] is None else Gpu(**data["gpu"])
        data["layers"] = tuple(EngineLayer(**{k: _tupled(v) for k, v in item.items()}) for item in data["layers"])
        return cls(**{name: _tupled(value) for name, value in data.items()})

    def check(self, where: str, *, version: str, gpu: Gpu | None) -> None:
        """Check that this machine can run the plan.

        Args:
            where: what messages call the plan.
            version: of the runtime on this machine.
            gpu: of this machine, or None.

        Raises:
            EngineError: version or GPU differ.
        """
        if version != self.version:
            raise EngineError(
                f"{where}: it was built by {self.runtime} {self.version}, and this machine has {version}, which cannot "
                "run it; build it again with `quantlab build`"
            )
        if gpu is None:
            raise EngineError(f"{where}: there is no NVIDIA GPU with a driver here; run it where there is one")
        wanted = self.compute_capabilities
        if self.runtime == "tensorrt" and self.gpu is not None:
            wanted = (self.gpu.compute_capability,)
        if wanted and gpu.compute_capability not in wanted:
            raise EngineError(
                f"{where}: it was built for {self.built_for}, and this machine has a {gpu}; "
                "build it again for this GPU with `quantlab build`"
            )

    def plugin_files(self, plan: Path) -> tuple[str, ...]:
        """Return the files with custom operators: where they were when the plan was built, or beside the plan.

        Args:
            plan: where the plan lies now.

        Raises:
            EngineError: one is at neither place as it was.
        """
        return tuple(_found(name, digest, plan) for name, digest in (self.plugins or {}).items())


def _found(name: str, digest: str, plan: Path) -> str:
    for path in (Path(name), plan.with_name(Path(name).name)):
        if path.is_file() and file_hash(path) == digest:
            return str(path)
    raise EngineError(
        f"{plan}: it needs the plugin {Path(name).name} that it was built with, and neither {name} nor a file beside "
        "the plan is that; copy it there, or build the plan again"
    )


def _tupled(value: Any) -> Any:  # noqa: ANN401 (fields are of several types)
    return tuple(value) if isinstance(value, list) else value


def sidecar_of(path: Path) -> Path:
    """Return where the side-car of a plan lies."""
    return path.with_name(f"{path.name}.json")


def install_plan(built: Path, path: Path, record: PlanRecord) -> PlanRecord:
    """Put a plan that was just built under its name, with its side-car.

    Each file appears whole. Stopped between the two, the new plan stands beside the old side-car, which its hash
    does not match: `read_plan` refuses it.

    Args:
        built: where the builder wrote the plan.
        path: its name.
        record: all but the hash of the plan.

    Raises:
        EngineError: the files cannot be written.
    """
    record = replace(record, plan_sha256=file_hash(built))
    try:
        with replacing(path) as temporary:
            _copy(built, temporary)
        with replacing(sidecar_of(path)) as temporary:
            temporary.write_text(record.to_json(), encoding="utf-8")
    except OSError as error:
        raise EngineError(f"{path}: the plan cannot be written ({error.strerror or error}); choose --out") from error
    return record


def read_record(path: Path) -> PlanRecord:
    """Return the side-car of a plan.

    Raises:
        EngineError: there is no plan or no side-car, or the side-car cannot be understood.
    """
    sidecar = sidecar_of(path)
    if not path.is_file():
        raise EngineError(f"{path}: there is no such plan; build it with `quantlab build`")
    try:
        return PlanRecord.from_json(sidecar.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EngineError(
            f"{path}: its side-car {sidecar.name} is missing, so what it was built from and for is unknown; "
            "copy both files together, or build it again with `quantlab build`"
        ) from error
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise EngineError(
            f"{sidecar}: it cannot be read ({error}); build the plan again with `quantlab build`"
        ) from error


def read_plan(path: Path, *, model: Model | None = None) -> tuple[bytes, PlanRecord]:
    """Return a plan and its side-car.

    Args:
        path: the plan.
        model: the model it must have been built from, or None for any.

    Raises:
        EngineError: plan or side-car are missing, do not belong together, or are of another model.
    """
    record = read_record(path)
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != record.plan_sha256:
        raise EngineError(
            f"{path}: it is not the plan that {sidecar_of(path).name} describes: it was replaced or cut short; "
            "build it again with `quantlab build`"
        )
    if model is not None and fingerprint(model) != record.onnx_sha256:
        raise EngineError(f"{path}: it was built from another model than {model.name}; build it again")
    return data, record


def fingerprint(model: Model) -> str:
    """Return a hash of a model: its graph and weights, not its path or the form of its file."""
    skeleton = model.clone()
    skeleton.graph.initializers.clear()
    digest = hashlib.sha256(to_bytes(skeleton))
    for name, value in sorted(model.graph.initializers.items()):
        if value.const_value is not None:
            tensor = value.const_value
            digest.update(repr((name, str(tensor.dtype), tensor.shape.numpy())).encode())
            digest.update(tensor.tobytes())
    return digest.hexdigest()


def file_hash(path: str | Path) -> str:
    """Return the SHA-256 of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def plugin_hashes(plugins: Iterable[str]) -> dict[str, str]:
    """Return the hash of every file with custom operators."""
    return {plugin: file_hash(plugin) for plugin in plugins}


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as reader, target.open("wb") as writer:
        while chunk := reader.read(_CHUNK_BYTES):
            writer.write(chunk)
