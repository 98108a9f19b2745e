"""Real networks that ONNX Runtime's quantizer quantized are repaired for TensorRT, and follow the float network."""

import importlib.util
import warnings

import numpy as np
import pytest

from benchmarks.architectures import ARCHITECTURES
from quantlab.graph.prepare import prepare
from quantlab.interop.requantize import requantize
from quantlab.lint import lint
from tests.lint.quantizer import quantized_by_onnxruntime
from tests.lint.test_fix import outputs
from tests.rtx import build_engines, requires_rtx

pytestmark = [
    pytest.mark.slow,
    pytest.mark.torch,
    pytest.mark.tensorrt,
    pytest.mark.timeout(1800),
    requires_rtx,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")),
        reason="the packages torch and transformers are not both installed",
    ),
]


@pytest.mark.parametrize(("name", "products"), [("resnet50", 54), ("mobilenet_v2", 36)])
def test_a_network_is_repaired_and_built(name: str, products: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's exporter and of transformers
        model = prepare(ARCHITECTURES[name].model())
    made = quantized_by_onnxruntime(model)
    assert {"TRT103", "TRT111", "TRT302"} <= {finding.rule for finding in lint(made).findings}
    migration = requantize(made, "tensorrt").migration
    assert lint(migration.int8_model).is_clean
    (expected,), (repaired,) = outputs(model, model), outputs(migration.int8_model, model)
    assert np.corrcoef(expected.ravel(), repaired.ravel())[0, 1] > 0.97
    assert not build_engines({name: migration.int8_model})[name].float_nodes_of(migration.plan)
    assert len(migration.plan.integer_nodes) == products
