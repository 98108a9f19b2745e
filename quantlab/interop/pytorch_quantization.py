"""Float model + calibrated quantizers of pytorch-quantization → INT8 model with the same scales: amax / 127.

A module is found in the ONNX graph by the name of its weight, by the scope that torch writes into the names of nodes
(`/layer1/layer1.0/conv1/Conv`), or by the values of its weight. A `residual_quantizer` is found by scope alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from quantlab.errors import CalibrationError
from quantlab.graph.model import Model
from quantlab.graph.prepare import prepare
from quantlab.interop.amax_table import AmaxTable, Float32
from quantlab.interop.known import Known, KnownRange, KnownWeight, is_usable
from quantlab.interop.migrate import Migration, migrate
from quantlab.plan import Reader
from quantlab.targets import target_named
from quantlab.targets.tensorrt_joins import skip_input
from quantlab.targets.tensorrt_products import Product, product_of

_INPUT, _WEIGHT, _RESIDUAL = "input_quantizer", "weight_quantizer", "residual_quantizer"
_LEVELS = np.float32(127)


@dataclass(frozen=True, eq=False, slots=True)
class AmaxImport:
    """What a state dict gave.

    Attributes:
        migration: the INT8 model and what it was made from.
        nodes: the node of each module that was found.
        unknown: quantizers without a node, such as `layer1.0.residual_quantizer`.
        unusable: quantizers whose amax is 0, infinite or NaN.
    """

    migration: Migration
    nodes: Mapping[str, str]
    unknown: tuple[str, ...]
    unusable: tuple[str, ...]

    @property
    def used(self) -> tuple[str, ...]:
        """Tensors that are quantized."""
        return tuple(point.tensor for point in self.migration.plan.of_role("activation"))

    @property
    def missing(self) -> tuple[str, ...]:
        """Tensors that the target would quantize, and no quantizer has an amax for."""
        return tuple(dict.fromkeys(self.migration.kept_float.values()))

    def __str__(self) -> str:
        lines = [f"{len(self.nodes)} modules with quantizers are in the model"]
        lines += [f"  not in the model: {name}" for name in self.unknown]
        lines += [f"  no usable amax: {name}" for name in self.unusable]
        return "\n".join([*lines, *(f"  {note}" for note in self.migration.notes)])


def import_amax(
    table: AmaxTable, model: Model, *, target: str = "tensorrt", keep_float: Sequence[str] = ()
) -> AmaxImport:
    """Return a float model quantized with the scales of a state dict.

    Args:
        table: what `read_amax` found.
        model: the float model, exported without Q/DQ nodes; it is prepared here.
        target: the runtime to place for.
        keep_float: nodes to leave float.

    Raises:
        CalibrationError: no module of the state dict is in the model, or the target quantizes none of them.
        ModelError: the model cannot be prepared.
    """
    prepared = prepare(model)
    modules = dict(_modules(prepared, table))
    if not modules:
        raise CalibrationError(
            f"{model.name}: no module of the {len(table.amax)} quantizers, such as {_label(next(iter(table.amax)))!r}, "
            "is in it; export the float model that the state dict belongs to"
        )
    edges = {(module, _INPUT): product.node.inputs[product.activation] for module, product in modules.items()}
    edges |= {(module, _WEIGHT): None for module in modules} | dict(_skips(prepared, table))
    ranges, unusable = _ranges(table, edges)
    known = Known(ranges, dict(_known_weights(modules, table)))
    migration = migrate(prepared, target_named(target), known, keep_float=keep_float)
    unknown = tuple(_label(key) for key in table.amax if key not in edges)
    return AmaxImport(migration, {m: p.node.name or "" for m, p in modules.items()}, unknown, unusable)


def scope_of(node: str) -> str | None:
    """Return the module that a node's name says it is of, or None.

    `/layer1/layer1.0/conv1/Conv` is of `layer1.0.conv1`: a container's items repeat its name.
    """
    parts: list[str] = []
    for part in node.split("/")[1:-1] if node.startswith("/") else ():
        if parts and part.startswith(f"{parts[-1]}."):
            parts.pop()
        parts.append(part)
    return ".".join(parts) or None


def _modules(model: Model, table: AmaxTable) -> Iterator[tuple[str, Product]]:
    """Yield the modules that have quantizers, with the product that each became."""
    left = {module for module, quantizer in table.amax if quantizer in (_INPUT, _WEIGHT)}
    for node in model.graph:
        product = product_of(node)
        module = None if product is None else _module_of(product, table, left)
        if product is not None and module is not None:
            left.discard(module)
            yield module, product


def _module_of(product: Product, table: AmaxTable, left: set[str]) -> str | None:
    weight = product.node.inputs[product.weight]
    named = (weight.name or "").removesuffix(".weight") if weight is not None else ""
    for module in (named, scope_of(product.node.name or "")):
        if module in left:
            return module
    now = _values(weight)
    same = (module for module in sorted(left) if _equals(table.weights.get(module), now, product))
    return next(same, None)


def _skips(model: Model, table: AmaxTable) -> Iterator[tuple[tuple[str, str], ir.Value | None]]:
    """Yield the quantizers of skips with the tensors, where a scope has one residual sum alone."""
    integer = {node.name or "" for node in model.graph if node.op_type == "Conv"}
    for module in (module for module, quantizer in table.amax if quantizer == _RESIDUAL):
        sums = [node for node in model.graph if node.op_type == "Add" and scope_of(node.name or "") == module]
        skip = skip_input(sums[0], integer) if len(sums) == 1 else None
        if skip is not None:
            yield (module, _RESIDUAL), sums[0].inputs[skip]


def _ranges(
    table: AmaxTable, edges: Mapping[tuple[str, str], ir.Value | None]
) -> tuple[dict[str, KnownRange], tuple[str, ...]]:
    """Return the ranges of tensors, and the quantizers whose amax no runtime could use."""
    ranges: dict[str, KnownRange] = {}
    unusable = []
    for key, amax in table.amax.items():
        value = edges.get(key)
        scales = amax.ravel() / _LEVELS
        if not all(map(is_usable, scales)):
            unusable.append(_label(key))
        elif value is not None and scales.size == 1:
            found, name = KnownRange.of_symmetric(scales[0]), value.name or ""
            ranges[name] = found.united(ranges[name]) if name in ranges else found
    return ranges, tuple(unusable)


def _known_weights(modules: Mapping[str, Product], table: AmaxTable) -> Iterator[tuple[Reader, KnownWeight]]:
    for module, product in modules.items():
        amax, values = table.amax.get((module, _WEIGHT)), table.weights.get(module)
        if amax is None or values is None:
            continue
        scale, axis = amax.ravel() / _LEVELS, product.axis
        if scale.size == 1:
            scale, axis = scale.reshape(()), None
        yield Reader(product.node.name or "", product.weight), KnownWeight(scale, axis, _turned(values, product))


def _equals(values: Float32 | None, now: Float32 | None, product: Product) -> bool:
    return values is not None and now is not None and np.array_equal(_turned(values, product), now)


def _turned(values: Float32, product: Product) -> Float32:
    """Return the weight of a module as its product reads it: torch's Linear has [out, in], a MatMul reads [in, out]."""
    is_turned = values.ndim == 2 and product.axis == 1 and product.node.op_type in ("Gemm", "MatMul")
    return values.T if is_turned else values


def _values(value: ir.Value | None) -> Float32 | None:
    return None if value is None or value.const_value is None else np.asarray(value.const_value.numpy(), np.float32)


def _label(key: tuple[str, str]) -> str:
    return ".".join(key)
