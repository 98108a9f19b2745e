"""Scales and integer types with which ONNX Runtime's CPU provider leaves nodes float, or computes nonsense.

Sources: models optimized by ONNX Runtime 1.31; its core/optimizer/qdq_transformer/selectors_actions/qdq_selectors.cc.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from quantlab.interop.sites import Constant, Site
from quantlab.lint.finding import Hit
from quantlab.lint.rule import Rule
from quantlab.lint.subject import Subject
from quantlab.lint.tensorrt_encodings import bad_scale, per_channel_activation
from quantlab.lint.tensorrt_operators import nothing_quantized
from quantlab.targets.graph_queries import clip_bounds, input_at, only_reader

# float32 products of two scales differ by a step or two, depending on the order of their factors.
_SCALE_TOLERANCE = 1e-5


def shared_int8(subject: Subject) -> Iterator[Hit]:
    """int8 activations that several nodes read."""
    readers = Counter(site.quantize for site in subject.activations() for _ in site.readers)
    seen: set[str | None] = set()
    for site in subject.activations():
        if site.dtype == ir.DataType.INT8 and readers[site.quantize] > 1 and site.quantize not in seen:
            seen.add(site.quantize)
            yield Hit(site.node, site.tensor, f"int8 integers that {readers[site.quantize]} inputs read")


def other_bias_scale(subject: Subject) -> Iterator[Hit]:
    """int32 biases whose scale is not that of the products they are added to."""
    for node in subject.plain.graph:
        bias, activation = subject.site_at(node, 2), subject.site_at(node, 0)
        weight = subject.weight_at(node, 1)
        if bias is None or bias.scale is None or bias.role != "bias" or activation is None or weight is None:
            continue
        if activation.scale is None or weight.site.scale is None or activation.scale.size > 1:
            continue
        product = activation.scale.reshape(-1) * weight.site.scale.reshape(-1)
        if product.size not in (1, bias.scale.size) or not _are_close(bias.scale.reshape(-1), product):
            yield Hit(node.name or "", bias.tensor, "a bias scale other than activation scale × weight scale")


def _are_close(left: Constant, right: Constant) -> bool:
    return bool(np.allclose(left, right, rtol=_SCALE_TOLERANCE, atol=0.0))


def unfoldable_clip(subject: Subject) -> Iterator[Hit]:
    """Relu and Clip behind a product, before integers of which some stand for values that they would have clipped."""
    for node in subject.plain.graph:
        bounds, source = clip_bounds(node), input_at(node, 0)
        maker = None if source is None or bounds is None else source.producer()
        if maker is None or source is None or bounds is None or only_reader(source) is not node:
            continue
        for site in subject.sites_of(node.outputs[0]) if subject.multiplies_integers(maker) else ():
            low, high = _reach(site)
            if low < bounds[0] or high > bounds[1]:
                what = f"integers from {low:.4g} to {high:.4g} behind {node.op_type}, which leaves {bounds[0]:g} to "
                yield Hit(node.name or "", site.tensor, what + f"{bounds[1]:g}")
                break


def _reach(site: Site) -> tuple[float, float]:
    """Return what the lowest and the highest integer of a per-tensor site stand for."""
    if site.scale is None or site.scale.size > 1 or site.dtype not in (ir.DataType.INT8, ir.DataType.UINT8):
        return 0.0, 0.0
    lowest = -128 if site.dtype == ir.DataType.INT8 else 0
    zero = 0 if site.zero_point is None else int(site.zero_point.reshape(-1)[0])
    scale = site.scale.astype(np.float32).reshape(-1)[0]
    return float((lowest - zero) * scale), float(np.float32(lowest + 255 - zero) * scale)


RULES = (
    Rule(
        "ORT101",
        "onnxruntime",
        "int8 read by several nodes",
        "slow",
        "On x86 a session turns int8 activations into uint8, for which it has fast kernels, but not where several "
        "nodes read one QuantizeLinear; these nodes and the one before stay float.",
        "Quantize activations to uint8; `--fix` does it.",
        shared_int8,
    ),
    Rule(
        "ORT102",
        "onnxruntime",
        "Relu that does not fold",
        "slow",
        "A Relu or Clip disappears into the rounding only if no integer stands for what it clips; else the product "
        "before it stays float.",
        "Quantize to uint8 with zero point 0 behind a Relu, and at most the upper bound of a Clip; `--fix` does it.",
        unfoldable_clip,
    ),
    Rule(
        "ORT103",
        "onnxruntime",
        "bias of another scale",
        "slow",
        "An int32 bias is added to sums of products as it is, so that another scale keeps the node float.",
        "Give it the scale (activation × weight) and zero point 0; `--fix` does it.",
        other_bias_scale,
    ),
    Rule(
        "ORT104",
        "onnxruntime",
        "scale not positive",
        "wrong",
        "A division by 0 or NaN makes every integer the same; the session runs without a word.",
        "Give a dead channel any positive scale, such as 1; look for NaN in the data otherwise.",
        bad_scale,
    ),
    Rule(
        "ORT105",
        "onnxruntime",
        "activation with a scale per channel",
        "refused",
        "The session makes an integer node of it all the same, and that fails when it runs: 'must be a scalar'.",
        "Calibrate one scale for the tensor; `--fix` takes the largest.",
        per_channel_activation,
    ),
    Rule(
        "ORT106",
        "onnxruntime",
        "nothing quantized",
        "slow",
        "Without Q/DQ nodes ONNX Runtime computes everything in float.",
        "Quantize it: `quantlab ptq --target onnxruntime`.",
        nothing_quantized,
    ),
)
