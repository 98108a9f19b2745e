"""The draft merges, shares, orders and refuses."""

import onnx_ir as ir
import pytest

from quantlab.errors import PlanError
from quantlab.graph.model import Model
from quantlab.plan import Plan, Point, Reader
from quantlab.scheme import Scheme
from quantlab.targets.draft import Draft

INT8 = Scheme("int8")


def chain() -> Model:
    text = """<ir_version: 10, opset_import: ["": 21]>
    chain (float[1, 3, 8, 8] x, float[3, 3, 1, 1] w) => (float[1, 3, 8, 8] d, float[1, 3, 8, 8] c) {
        [first] a = Conv(x, w)
        [second] b = Relu(a)
        [third] c = MaxPool<kernel_shape = [1, 1]>(b)
        [fourth] d = Add(c, b)
    }"""
    return Model(ir.from_onnx_text(text))


def point(tensor: str, *readers: Reader, **changes: object) -> Point:
    return Point(tensor, INT8, "activation", readers, **changes)  # type: ignore[arg-type]


def test_two_rules_about_one_tensor_become_one_point_with_both_readers_in_graph_order() -> None:
    draft = Draft(chain(), "test")
    draft.add(point("b", Reader("fourth", 1)))
    draft.add(point("b", Reader("third", 0), is_output=True))
    draft.add(point("b", Reader("third", 0)))
    assert draft.freeze().points == (point("b", Reader("third", 0), Reader("fourth", 1), is_output=True),)


def test_points_and_nodes_come_out_in_graph_order_whatever_the_order_of_the_rules() -> None:
    draft = Draft(chain(), "test")
    for name in ("c", "w", "x", "b"):
        draft.add(point(name))
    draft.integer("fourth")
    draft.integer("first")
    draft.leave_float("third", "because")
    draft.leave_float("second", "because")
    draft.skip("d", "late")
    draft.skip("a", "early")
    plan = draft.freeze()
    assert [p.tensor for p in plan.points] == ["x", "w", "b", "c"]
    assert plan.integer_nodes == ("first", "fourth")
    assert [name for name, _ in plan.float_nodes] == ["second", "third"]
    assert [s.tensor for s in plan.skips] == ["a", "d"]


def test_a_chain_of_shared_encodings_ends_at_its_first_member() -> None:
    draft = Draft(chain(), "test")
    for name in ("a", "b", "c"):
        draft.add(point(name))
    draft.share("c", "b")
    draft.share("b", "a")
    draft.share("a", "c")  # says nothing new
    assert [p.shared_with for p in draft.freeze().points] == [None, "a", "a"]


def test_the_earliest_member_owns_a_group_whichever_way_it_was_shared() -> None:
    draft = Draft(chain(), "test")
    for name in ("a", "b", "c"):
        draft.add(point(name))
    draft.share("a", "c")
    draft.share("b", "c")
    assert draft.freeze().groups == {"a": ("a", "b", "c")}


def test_a_group_has_a_fixed_range_only_if_all_its_members_have_one() -> None:
    for other, expected in (((-1.0, 0.5), (-1.0, 1.0)), (None, None)):
        draft = Draft(chain(), "test")
        draft.add(point("a", fixed_range=(0.0, 1.0)))
        draft.add(point("b", fixed_range=other, shared_with="a"))
        assert {p.fixed_range for p in draft.freeze().points} == {expected}


def test_rules_that_disagree_about_a_tensor_are_an_error() -> None:
    draft = Draft(chain(), "test")
    draft.add(point("b"))
    with pytest.raises(PlanError, match="two rules disagree about 'b'"):
        draft.add(Point("b", Scheme("uint8", symmetric=False), "activation", ()))


def test_sharing_needs_points_of_one_scheme() -> None:
    draft = Draft(chain(), "test")
    draft.add(point("a"))
    draft.share("a", "b")
    with pytest.raises(PlanError, match="'b' shares an encoding but has no point"):
        draft.freeze()
    draft.add(Point("b", Scheme("uint8"), "activation", ()))
    with pytest.raises(PlanError, match="cannot share"):
        draft.freeze()


def test_an_unknown_tensor_is_an_error() -> None:
    with pytest.raises(PlanError, match="'nowhere' is no tensor"):
        Draft(chain(), "test").add(point("nowhere"))


def test_skips_with_the_same_sentence_merge_their_readers() -> None:
    draft = Draft(chain(), "test")
    draft.skip("b", "why", [Reader("fourth", 1)])
    draft.skip("b", "why", [Reader("third", 0)])
    draft.skip("b", "other")
    assert list(map(str, draft.freeze().skips)) == ["b (third[0] fourth[1]): why", "b: other"]


def test_a_skip_about_all_readers_absorbs_one_about_some() -> None:
    draft = Draft(chain(), "test")
    draft.skip("b", "why", [Reader("fourth", 1)])
    draft.skip("b", "why")
    assert [s.readers for s in draft.freeze().skips] == [()]


def test_the_first_reason_for_a_float_node_stands() -> None:
    draft = Draft(chain(), "test")
    draft.leave_float("third", "first reason")
    draft.leave_float("third", "second reason")
    assert draft.freeze().float_nodes == (("third", "first reason"),)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("[n] y = Relu(x) y2 = Relu(y)", "has no name"),
        ("[n] y = Relu(x) [n] y2 = Relu(y)", "has the name 'n' of another node"),
        ("[n] y = QuantizeLinear(x, s) [m] y2 = DequantizeLinear(y, s)", "quantized already"),
    ],
)
def test_a_model_that_is_not_prepared_or_is_quantized_already_is_refused(body: str, complaint: str) -> None:
    text = f'<ir_version: 10, opset_import: ["": 21]> g (float[1] x, float s) => (y2) {{ {body} }}'
    with pytest.raises(PlanError, match=complaint):
        Draft(Model(ir.from_onnx_text(text)), "test")


def test_a_group_keeps_the_narrowest_limits_of_its_members() -> None:
    draft = Draft(chain(), "test")
    draft.add(point("a", limits=(0.0, None)))
    draft.add(point("b", limits=(None, 6.0), shared_with="a"))
    assert {p.limits for p in draft.freeze().points} == {(0.0, 6.0)}


def test_limits_cut_a_range_only_where_they_are_set() -> None:
    assert point("a", limits=(0.0, None)).within_limits(-0.5, 9.0) == (0.0, 9.0)
    assert point("a", limits=(None, 6.0)).within_limits(-0.5, 9.0) == (-0.5, 6.0)
    assert point("a", limits=(0.0, 6.0)).within_limits(0.5, 5.0) == (0.5, 5.0)


def test_limits_and_fences_survive_json() -> None:
    draft = Draft(chain(), "test")
    draft.add(point("a", limits=(0.0, None)))
    draft.fence("a")
    plan = draft.freeze()
    assert Plan.from_json(plan.to_json()) == plan
    assert "within [0, ...]" in str(plan)
    assert "fence before the rounding of a" in str(plan)
