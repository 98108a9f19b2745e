"""Real architectures go through the whole of `quantlab ptq` for both targets, and come out as their runtimes want them.

The weights are random (see `benchmarks/architectures.py`): a decision among 1,000 classes hangs on tiny differences and
says little, so how near the integers follow is told by the signal-to-noise ratio of the logits.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest

from benchmarks.architectures import ARCHITECTURES, Architecture
from benchmarks.photographs import crops
from quantlab.audit import Audit, audit_tensorrt
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.graph.model import Model
from quantlab.pipeline import Run, ptq
from quantlab.targets.tensorrt_attention import find_attentions
from quantlab.targets.tensorrt_products import PRODUCTS
from tests.rtx import BuiltEngine, build_engines, requires_rtx

pytestmark = [
    pytest.mark.slow,
    pytest.mark.torch,
    pytest.mark.timeout(1800),  # a network is exported on first use, and built for TensorRT
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")),
        reason="the packages torch and transformers are not both installed",
    ),
]

# Of 224 by 224 pixels; of larger images fewer, so that a network's runs do not take longer than the others'.
CALIBRATING = 16
JUDGING = 8


@dataclass(frozen=True, eq=False, slots=True)
class Expected:
    """What must come out of one architecture.

    Attributes:
        onnxruntime_products: how many convolutions and matrix products ONNX Runtime multiplies in integers.
        tensorrt_products: how many TensorRT does.
        least_share: of all multiply-adds, what TensorRT does in integers.
        fused: how many attentions are one layer of TensorRT each.
        least_sqnr_db: of the logits, for both; noise of a wrong scale is as large as the signal (0 dB).
    """

    onnxruntime_products: int
    tensorrt_products: int
    least_share: float
    fused: int
    least_sqnr_db: float


EXPECTED = {
    # 53 convolutions and the classifier.
    "resnet50": Expected(54, 54, 1.0, 0, 12.0),
    # Of 52 convolutions ONNX Runtime leaves the first two float (three channels, depthwise), TensorRT all 17 depthwise.
    "mobilenet_v2": Expected(51, 36, 0.93, 0, 10.0),
    # Of 81 TensorRT leaves 16 depthwise and 32 in squeeze-and-excite.
    "efficientnet_b0": Expected(78, 34, 0.90, 0, 12.0),
    # In each of 12 layers six linear and two attention products; patches and classifier.
    "vit_b": Expected(98, 98, 1.0, 12, 15.0),
    # All but eight depthwise convolutions. Two of eight attentions have one head, which TensorRT-RTX 1.7 never fuses.
    "segformer_b0": Expected(80, 80, 0.99, 6, 10.0),
}


@pytest.fixture(scope="module", params=EXPECTED)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def architecture(name: str) -> Architecture:
    return ARCHITECTURES[name]


def fewer(images: int, architecture: Architecture) -> int:
    """Return how many images of an architecture have the pixels of so many of 224 by 224, at least 2."""
    return max(2, round(images * 224**2 / architecture.side**2))


@pytest.fixture(scope="module")
def run(architecture: Architecture) -> Run:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's exporter and of transformers
        model = architecture.model()
    return ptq(
        model,
        crops(fewer(CALIBRATING, architecture), architecture.side),
        eval_data=crops(fewer(JUDGING, architecture), architecture.side, seed=1),
        targets=("onnxruntime", "tensorrt"),
        samples=fewer(CALIBRATING, architecture),
        latency_batches=(),
    )


def test_all_that_was_planned_runs_in_integers_on_onnxruntime(run: Run) -> None:
    audit = run.quantized["onnxruntime"].audit
    assert audit is not None
    assert audit.share == 1.0, str(audit)
    assert not audit.leftovers, str(audit)


def test_the_products_are_integer_kernels_of_onnxruntime(run: Run, name: str) -> None:
    audit = run.quantized["onnxruntime"].audit
    assert audit is not None
    kernels = {"Conv": {"QLinearConv"}, "Gemm": {"QGemm"}, "MatMul": {"QLinearMatMul", "MatMulIntegerToFloat"}}
    made = Counter(row.op_type for row in audit.rows if row.ran_as in kernels.get(row.op_type, ()))
    in_model = Counter(node.op_type for node in run.model.graph if node.op_type in kernels)
    assert made.total() == EXPECTED[name].onnxruntime_products, f"{made} of {in_model}"
    if name == "resnet50":
        assert made == in_model  # every single one


def test_integers_follow_the_float_network(run: Run, name: str) -> None:
    for target in ("onnxruntime", "tensorrt"):
        row = run.evaluation.row(target)
        assert row.sqnr is not None
        assert row.sqnr.db >= EXPECTED[name].least_sqnr_db, f"{target}\n{run}"


def test_no_logit_is_nan_or_equal_for_all_images(run: Run, architecture: Architecture) -> None:
    feeds = {"pixels": crops(2, architecture.side, seed=2)}
    for target, engine in (("onnxruntime", OnnxRuntime()), ("tensorrt", OnnxRuntime(optimization="none"))):
        logits = _outputs(run.quantized[target].model, engine, feeds)
        assert np.isfinite(logits).all(), target
        assert not np.array_equal(logits[0], logits[1]), target


@pytest.fixture(scope="module")
def engine(run: Run, name: str) -> BuiltEngine:
    return build_engines({name: run.quantized["tensorrt"].model}, timeout_s=1200)[name]


@pytest.fixture(scope="module")
def audit(run: Run, engine: BuiltEngine) -> Audit:
    made = run.quantized["tensorrt"]
    return audit_tensorrt(made.model, made.plan, engine.layers, engine="tensorrt_rtx")


@requires_rtx
@pytest.mark.tensorrt
def test_tensorrt_builds_every_planned_product_as_an_integer_layer(audit: Audit, name: str) -> None:
    assert not audit.leftovers, str(audit)
    planned = [row for row in audit.rows if row.planned == "integer"]
    assert len(planned) == EXPECTED[name].tensorrt_products
    assert all(row.is_integer and row.precision == "int8" for row in planned)


@requires_rtx
@pytest.mark.tensorrt
def test_every_product_that_tensorrt_leaves_float_has_the_rule_as_its_reason(run: Run, audit: Audit) -> None:
    products = {str(node.name) for node in run.model.graph if node.op_type in PRODUCTS}
    rows = {row.node: row for row in audit.rows}
    assert products <= set(rows)
    assert sum(row.multiply_adds for row in audit.rows) == audit.multiply_adds  # no work goes unmentioned
    assert [name for name in products if not rows[name].is_integer and not rows[name].planned_reason] == []


@requires_rtx
@pytest.mark.tensorrt
def test_tensorrt_does_nearly_all_work_in_integers(audit: Audit, name: str) -> None:
    assert audit.multiply_add_share >= EXPECTED[name].least_share, str(audit)


@requires_rtx
@pytest.mark.tensorrt
def test_attentions_are_one_integer_layer_each(run: Run, engine: BuiltEngine, name: str) -> None:
    fused = 0
    for attention in find_attentions(run.model):
        layers = engine.layers_of(str(attention.scores.name))
        fused += len(layers) == 1 and layers == engine.layers_of(str(attention.context.name))
        assert all(layer.multiplies_int8 for layer in layers)
    assert fused == EXPECTED[name].fused


def _outputs(model: Model, engine: OnnxRuntime, feeds: dict[str, np.ndarray]) -> np.ndarray:
    with engine.open(model) as session:
        return next(iter(session.run(feeds).values()))
