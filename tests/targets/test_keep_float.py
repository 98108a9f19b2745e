"""What users ask to keep float is found, or refused with near matches."""

import onnx_ir as ir
import pytest

from quantlab.errors import PlanError
from quantlab.graph.model import Model
from quantlab.targets.keep_float import nodes_to_keep_float


@pytest.fixture
def model() -> Model:
    text = """<ir_version: 10, opset_import: ["": 21]>
    g (float[1, 8] x, float[8, 8] w) => (float[1, 8] y) {
        ["head.first"] a = MatMul(x, w)
        ["head.act"] b = Relu(a)
        ["tail.last"] c = MatMul(b, w)
        [Relu6] y = Relu(c)
    }"""
    return Model(ir.from_onnx_text(text))


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], []),
        (["tail.last"], ["tail.last"]),
        (["MatMul"], ["head.first", "tail.last"]),
        (["head.*"], ["head.first", "head.act"]),
        (["?ail.last", "MatMul"], ["head.first", "tail.last"]),
        (["Relu6"], ["Relu6"]),
    ],
)
def test_names_types_and_patterns_are_found_in_graph_order(
    model: Model, entries: list[str], expected: list[str]
) -> None:
    assert list(nodes_to_keep_float(model, entries)) == expected


def test_the_reason_quotes_the_first_entry_that_matched(model: Model) -> None:
    reasons = nodes_to_keep_float(model, ["head.*", "MatMul"])
    assert reasons["head.first"] == "Kept float on request (head.*)."
    assert reasons["tail.last"] == "Kept float on request (MatMul)."


def test_an_entry_that_matches_nothing_names_near_ones(model: Model) -> None:
    with pytest.raises(PlanError, match=r"'head\.frist' matches no node .* did you mean 'head\.first'"):
        nodes_to_keep_float(model, ["head.frist"])
    with pytest.raises(PlanError, match=r"did you mean 'MatMul'\?"):
        nodes_to_keep_float(model, ["Matmul"])
    with pytest.raises(PlanError, match="quantlab inspect"):
        nodes_to_keep_float(model, ["zzz"])
