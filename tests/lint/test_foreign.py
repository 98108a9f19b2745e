"""Models in the forms of other quantizers: their faults are found, and repaired."""

import numpy as np
import onnx_ir as ir
import pytest

from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.errors import ModelError
from quantlab.graph.model import Model
from quantlab.interop.requantize import requantize
from quantlab.lint import fix, lint
from quantlab.plan import Reader
from tests.lint.build import IMAGE, KERNEL, pair
from tests.lint.build import model as written
from tests.lint.foreign import FOREIGN
from tests.rtx import build_engines, requires_rtx


@pytest.fixture(params=FOREIGN)
def tool(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(tool: str) -> Model:
    return FOREIGN[tool][0]()


def test_the_faults_of_each_tool_are_found(tool, model):
    assert {finding.rule for finding in lint(model).findings} == FOREIGN[tool][1]


def test_repaired_they_are_clean(model):
    fixed = fix(model)
    assert fixed.after.is_clean, str(fixed.after)


def test_repaired_both_convolutions_run_in_integers_and_the_skip_is_quantized(model):
    plan = requantize(model, "tensorrt").migration.plan
    assert {"conv1", "conv2"} <= set(plan.integer_nodes)
    assert any(reader in point.readers for point in plan.points for reader in (Reader("add", 0), Reader("add", 1)))


def test_a_model_of_half_precision_is_repaired_in_float32_and_its_outputs_stay():
    model = FOREIGN["modelopt"][0]()
    fixed = fix(model)
    kinds = {value.dtype for value in fixed.model.values_by_name().values()}
    assert ir.DataType.FLOAT16 not in kinds
    assert "half precision became float32" in fixed.notes
    feeds = {"x": np.random.default_rng(0).normal(0.0, 0.5, (2, 32, 16, 16)).astype(np.float32)}
    with (
        OnnxRuntime(1, optimization="none").open(model) as half,
        OnnxRuntime(1, optimization="none").open(fixed.model) as full,
    ):
        before, after = half.run(feeds)["y"], full.run(feeds)["y"]
    # A float16 sum may put a value on the other side of a tie, one step of 0.03, which 256 pixels average out.
    np.testing.assert_allclose(after, before, atol=0.03)


def test_a_range_behind_a_pad_whose_borders_are_computed_is_that_before_it():
    plan = requantize(FOREIGN["modelopt_torch"][0](), "tensorrt").migration.plan
    (point,) = (point for point in plan.points if point.tensor == "x")
    assert {reader.node for reader in point.readers} == {"conv1", "add"}


@pytest.mark.parametrize(
    ("dequantize", "constants", "why"),
    [
        ("<axis=0, block_size=8>(w, blocks)", {"blocks": np.ones((4, 32, 3, 3), np.float32)}, "per block of values"),
        ("<axis=0>(w, rows)", {"rows": np.ones((32, 1, 1), np.float32)}, r"shape \[32, 1, 1\]"),
    ],
)
def test_a_weight_that_cannot_be_read_is_refused_with_the_reason(dequantize, constants, why):
    text = f"{IMAGE} {{ [dq] w_d = DequantizeLinear{dequantize} [conv] y = Conv<pads=[1,1,1,1]>(x, w_d) }}"
    with pytest.raises(ModelError, match=rf"'dq' cannot be taken out \(.*{why}"):
        fix(written(text, w=np.ones(KERNEL, np.int8), **constants))


def test_float8_is_no_int8_to_repair():
    text = f"{IMAGE} {{ {pair('x', 's', 'e')} [conv] y = Conv<pads=[1,1,1,1]>(x_d, w) }}"
    model = written(text, w=KERNEL, e=np.zeros((), ir.DataType.FLOAT8E4M3FN.numpy()))
    with pytest.raises(ModelError, match="quantized to float8_e4m3fn"):
        fix(model)


@pytest.mark.tensorrt
@requires_rtx
def test_the_builder_multiplies_integers_as_planned():
    made = {name: requantize(build(), "tensorrt").migration for name, (build, _) in FOREIGN.items()}
    engines = build_engines({name: migration.int8_model for name, migration in made.items()})
    assert not {name: found for name, made in made.items() if (found := engines[name].float_nodes_of(made.plan))}
