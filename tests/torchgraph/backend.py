"""ONNX's own node tests, as models with inputs and wanted outputs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import torch
from onnx.backend.test.loader import load_model_tests

from quantlab.data.batch import Array
from quantlab.graph.model import Model
from quantlab.torchgraph.module import GraphModule
from quantlab.torchgraph.registry import OLDEST_OPSET
from quantlab.torchgraph.tensors import ir_tensor, torch_tensor


@dataclass(frozen=True, eq=False, slots=True)
class Case:
    """One model of `onnx.backend.test`, the arrays it is fed and those it must return, in order."""

    name: str
    proto: onnx.ModelProto
    feeds: tuple[Any, ...]
    wanted: tuple[Any, ...]
    rtol: float
    atol: float

    @property
    def ops(self) -> tuple[tuple[str, str], ...]:
        """Domain and operator of every node."""
        return tuple((node.domain, node.op_type) for node in self.proto.graph.node)

    @property
    def opset(self) -> int:
        """The version of ONNX's own domain."""
        return max((entry.version for entry in self.proto.opset_import if not entry.domain), default=OLDEST_OPSET)

    def at(self, opset: int) -> Case:
        """Return the case with another version of ONNX's own domain."""
        proto = onnx.ModelProto()
        proto.CopyFrom(self.proto)
        proto.ir_version = min(proto.ir_version, 10)  # every ONNX Runtime since 1.18 reads this one
        for entry in proto.opset_import:
            if not entry.domain:
                entry.version = opset
        return Case(f"{self.name} at opset {opset}", proto, self.feeds, self.wanted, self.rtol, self.atol)


@cache
def cases() -> tuple[Case, ...]:
    """Return every node test; it takes seconds to make them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the cases divide by zero on purpose
        made = load_model_tests(kind="node")
        return tuple(
            Case(case.name, case.model, tuple(map(_array, feeds)), tuple(map(_array, wanted)), case.rtol, case.atol)
            for case in made
            if case.model is not None
            for feeds, wanted in case.data_sets or ()
        )


def node_cases(domain: str, op_type: str) -> list[Case]:
    """Return the tests of one operator that consist of one node, at versions that exporters write today."""
    found = [case for case in cases() if case.ops == ((domain, op_type),)]
    return [at for case in found if (at := _raised(case)) is not None]


def run(proto: onnx.ModelProto, feeds: Sequence[Array]) -> list[Array]:
    """Run a model in torch; outputs in order."""
    module = GraphModule(Model(ir.from_proto(proto)))
    tensors = [torch_tensor(ir.tensor(np.asarray(feed))) for feed in feeds]
    with torch.no_grad():
        outputs = module(dict(zip(module.inputs, tensors, strict=True)))
    return [np.asarray(ir_tensor(tensor, name).numpy()) for name, tensor in outputs.items()]


def run_in_onnx_runtime(proto: onnx.ModelProto, feeds: Sequence[Array]) -> list[Array]:
    """Run a model in ONNX Runtime; outputs in order."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return list(session.run(None, dict(zip(names, feeds, strict=True))))


def failure(case: Case) -> str:
    """Run a case in torch; say what went wrong, or nothing."""
    try:
        return difference(run(case.proto, case.feeds), case.wanted, case.rtol, case.atol)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is what the caller wants to know
        return f"{type(error).__name__}: {error}"


def difference(got: Sequence[Array], wanted: Sequence[Any], rtol: float, atol: float) -> str:
    """Say how outputs differ from those wanted, or nothing."""
    for have, want in zip(got, map(np.asarray, wanted), strict=True):
        if have.dtype != want.dtype:
            return f"type {have.dtype}, wanted {want.dtype}"
        if have.shape != want.shape:
            return f"shape {have.shape}, wanted {want.shape}"
        if np.issubdtype(want.dtype, np.integer) or want.dtype == bool:
            is_same = np.array_equal(have, want)
        else:
            is_same = np.allclose(have.astype(np.float64), want.astype(np.float64), rtol, atol, equal_nan=True)
        if not is_same:
            return f"values {have.ravel()[:8]}, wanted {want.ravel()[:8]}"
    return ""


def since_version(op_type: str, opset: int) -> int | None:
    """Return the version since when ONNX defines an operator as at an opset; None where it does not, or no more."""
    try:
        schema = onnx.defs.get_schema(op_type, opset, "")
    except onnx.defs.SchemaError:
        return None
    return None if schema.deprecated else int(schema.since_version)


def _raised(case: Case) -> Case | None:
    """Return a case of an old opset at the oldest one known, if its operator is still the same there."""
    if case.opset >= OLDEST_OPSET:
        return case
    op_type = case.ops[0][1]
    is_same = since_version(op_type, case.opset) == since_version(op_type, OLDEST_OPSET)
    return case.at(OLDEST_OPSET) if is_same else None


def _array(value: Any) -> Any:
    if isinstance(value, np.generic):
        return np.asarray(value)
    return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value
