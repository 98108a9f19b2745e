r"""What TensorRT says about a built engine → its layers, with the types they read and the ONNX nodes they compute.

Two sources tell the same story:

    builder     the verbose message `Layers: ...` of TensorRT-RTX, which needs no GPU
    inspector   the JSON of EngineInspector, which needs a GPU

Both need a build with detailed profiling. The metadata of a layer reads `[ONNX Layer: a]\x1f[ONNX Layer: b]`.
Recognised are the texts of TensorRT 8.6 to 11 (one field "Format/Datatype", or two) and of TensorRT-RTX 1.7.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from quantlab.errors import EngineError

# Layers that multiply and add, by their type or, where that only says `fusion`, by their kernel. A fused attention
# of TensorRT-RTX calls itself pointwise (kgen), but has a name of its own.
_PRODUCT_KIND = re.compile(r"correlation|conv|gemm|matmul|matrixmultiply", re.IGNORECASE)
_PRODUCT_KERNEL = re.compile(r"gemm|fprop|_mha_|fmha", re.IGNORECASE)
_FUSED_ATTENTION = "_gemm_mha"
_REFORMAT_KIND = re.compile(r"reformat|copy|shuffle", re.IGNORECASE)

_LAYER = re.compile(
    r"Name: (?P<name>.*), LayerType: (?P<kind>\S*), Inputs: \[(?P<inputs>.*)\], Constants: \[(?P<constants>.*)\], "
    r"Outputs: \[(?P<outputs>.*)\], TacticName: (?P<tactic>.*), StreamId: \d+, Metadata: ?(?P<metadata>.*)"
)
_DATATYPE = re.compile(r"Datatype: (\w+)")
_NODE = re.compile(r"\[ONNX Layer: (.*?)\](?=$|[\x1e\x1f]|[\s,]*\[ONNX Layer: )")
_PRECISIONS: Mapping[str, str] = {"Int8": "int8", "Half": "float16", "Float": "float32", "BF16": "bfloat16"}
# Words of the inspector for one type, and the name used here.
_TYPES: Mapping[str, str] = {"INT8": "Int8", "FP32": "Float", "FP16": "Half", "FLOAT": "Float", "HALF": "Half"}
_TYPE_WORD = re.compile(r"\b(Int8|Int32|Int64|Int4|FP32|FP16|FP8|FP4|BF16|Float|Half|Bool|UInt8)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class EngineLayer:
    """One layer of a built engine.

    Attributes:
        name: the builder's name.
        kind: the builder's word: correlation or CaskConvolution, gemm, deconv, kgen (pointwise), Reformat, ...
        nodes: the ONNX nodes that the layer computes.
        inputs: the types of the tensors it reads, such as Int8, Half or Float.
        constants: the types of its constants.
        outputs: the types of the tensors it writes.
        tactic: the kernel, or empty where it is chosen later.
    """

    name: str
    kind: str
    nodes: tuple[str, ...]
    inputs: tuple[str, ...]
    constants: tuple[str, ...]
    outputs: tuple[str, ...]
    tactic: str = ""

    @property
    def is_product(self) -> bool:
        """Whether the layer is a convolution, a matrix product or a fused attention."""
        if self.name.startswith(_FUSED_ATTENTION) or _PRODUCT_KIND.search(self.kind):
            return True
        return self.kind.lower() == "fusion" and _PRODUCT_KERNEL.search(self.tactic) is not None

    @property
    def multiplies_int8(self) -> bool:
        """Whether the layer is a product that reads integers."""
        return self.is_product and "Int8" in self.inputs

    @property
    def precision(self) -> str:
        """The type it computes in, that of the first tensor it reads, such as `int8`; empty where it reads none."""
        word = next(iter(self.inputs), "")
        return _PRECISIONS.get(word, word.lower())

    @property
    def is_reformat(self) -> bool:
        """Whether the layer only rearranges or converts, and computes no ONNX node."""
        return _REFORMAT_KIND.search(self.kind) is not None and not self.nodes

    @property
    def is_requantization(self) -> bool:
        """Whether the layer is a kernel of its own that turns floats into integers."""
        return not self.is_product and "Int8" in self.outputs and not {"Float", "Half", "BF16"}.isdisjoint(self.inputs)

    def __str__(self) -> str:
        types = f"{'+'.join(self.inputs)} x {'+'.join(self.constants) or '-'} -> {'+'.join(self.outputs)}"
        return f"{self.name} ({self.kind}) {types}: {' '.join(self.nodes)}"


def parse_layers(text: str) -> tuple[EngineLayer, ...]:
    """Return the layers that a `Layers:` message or the inspector's JSON lists.

    Raises:
        EngineError: the text is neither, or tells names only.
    """
    if not text.lstrip().startswith(("{", "[")):
        # splitlines() would split at the separator's relatives too.
        matches = (_LAYER.fullmatch(line.strip(" ")) for line in text.split("\n"))
        return tuple(_from_message(match) for match in matches if match)
    try:
        content = json.loads(text, strict=False)
    except ValueError as error:
        raise EngineError(f"TensorRT: what the inspector says about the engine is not JSON ({error})") from error
    layers = content.get("Layers", []) if isinstance(content, Mapping) else content
    if any(not isinstance(layer, Mapping) for layer in layers):
        raise EngineError("TensorRT: the engine tells the names of its layers only; build it with detailed profiling")
    return tuple(_from_json(layer) for layer in layers)


def nodes_of(metadata: str) -> tuple[str, ...]:
    """Return the ONNX nodes that a layer's metadata names."""
    return tuple(_NODE.findall(metadata))


def _from_message(match: re.Match[str]) -> EngineLayer:
    return EngineLayer(
        name=match["name"],
        kind=match["kind"].rstrip(","),
        nodes=nodes_of(match["metadata"]),
        inputs=tuple(_DATATYPE.findall(match["inputs"])),
        constants=tuple(_DATATYPE.findall(match["constants"])),
        outputs=tuple(_DATATYPE.findall(match["outputs"])),
        tactic=match["tactic"],
    )


def _from_json(layer: Mapping[str, Any]) -> EngineLayer:
    weights = layer.get("Weights")
    constants = [weights] if isinstance(weights, Mapping) else []
    return EngineLayer(
        name=str(layer.get("Name", "")),
        kind=str(layer.get("LayerType", "")),
        nodes=nodes_of(str(layer.get("Metadata", ""))),
        inputs=_types_of(layer.get("Inputs", ())),
        constants=_types_of([*constants, *layer.get("Constants", ())]),
        outputs=_types_of(layer.get("Outputs", ())),
        tactic=str(layer.get("TacticName", "")),
    )


def _types_of(tensors: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    types = []
    for tensor in tensors:
        told = next((tensor[key] for key in ("Datatype", "Format/Datatype", "Type") if key in tensor), "")
        found = _TYPE_WORD.search(str(told))
        word = found[0] if found else str(told)
        types.append(_TYPES.get(word.upper(), word))
    return tuple(types)
