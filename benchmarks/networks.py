"""What comes out of all five architectures: how much runs in integers, how near it is to FP32, how fast it is.

The weights are random, so agreement is about a choice among 1,000 (SegFormer: 150) nearly equal logits; a trained
network keeps far more of it. The signal-to-noise ratio compares architectures and targets with each other.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.architectures import ARCHITECTURES
from benchmarks.finding import Finding
from benchmarks.photographs import crops
from quantlab.evaluation.evaluation import Row
from quantlab.pipeline import Run, ptq

_CALIBRATING = 16
_JUDGING = 16
_PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


def run() -> Iterator[Finding]:
    """Take each architecture through the whole pipeline, for both targets."""
    for architecture in ARCHITECTURES.values():
        side = architecture.side
        made = ptq(
            architecture.model(),
            crops(_CALIBRATING, side),
            eval_data=crops(_JUDGING, side, seed=1),
            targets=("onnxruntime", "tensorrt"),
            samples=_CALIBRATING,
        )
        yield from _integers(architecture.title, made)
        for target in ("onnxruntime", "tensorrt"):
            yield _nearness(f"{architecture.title} {target}", made.evaluation.row(target))
        row = made.evaluation.row("onnxruntime")
        latencies = (made.evaluation.reference.latencies[0].median_ms, row.latencies[0].median_ms)
        detail = "FP32 {:.1f} ms, INT8 {:.1f} ms, a thread per core".format(*latencies)
        yield Finding(f"{architecture.title} INT8 speedup, batch 1", row.speedups[0].ratio, "x", detail=detail)


def _integers(title: str, made: Run) -> Iterator[Finding]:
    products = {node.name for node in made.model.graph if node.op_type in _PRODUCTS}
    quantized = made.quantized["onnxruntime"]
    assert quantized.audit is not None, "the target onnxruntime is always audited"
    integer = sum(row.node in products and row.is_integer for row in quantized.audit.rows)
    share = f"{quantized.audit.share:.0%} of {len(quantized.plan.integer_nodes)} planned nodes are integer kernels"
    what = f"{title} convolutions and matrix products in integers"
    yield Finding(f"{what}, onnxruntime", integer, f" of {len(products)}", detail=share)
    planned = len(products & set(made.quantized["tensorrt"].plan.integer_nodes))
    yield Finding(f"{what}, tensorrt", planned, f" of {len(products)}", detail="as planned")


def _nearness(what: str, row: Row) -> Finding:
    assert row.sqnr is not None, "logits are compared in every evaluation"
    simulated = ", simulated" if row.is_simulated else ""
    return Finding(f"{what} SQNR of the logits", row.sqnr.db, " dB", detail=f"{row.agreement}{simulated}")
