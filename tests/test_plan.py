"""Plans: what they hold together, print, and save."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab.errors import PlanError
from quantlab.plan import Plan, Point, Reader, Skip
from quantlab.scheme import Scheme

ACTIVATION = Scheme("uint8", symmetric=False)
NAMES = st.text(min_size=1, max_size=8)
READERS = st.lists(st.builds(Reader, NAMES, st.integers(0, 5)), max_size=3).map(tuple)
ENDS = st.none() | st.floats(-1e6, 1e6)
SCHEMES = st.builds(
    Scheme, st.sampled_from(["int8", "uint8", "int32"]), st.booleans(), st.none() | st.integers(-1, 3)
) | st.just(Scheme("int8", axis=0, narrow=True))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
    points = []
    for place, name in enumerate(names):
        others = st.sampled_from(names[:1]) if place else st.nothing()
        points.append(
            Point(
                tensor=name,
                scheme=draw(SCHEMES),
                role=draw(st.sampled_from(["activation", "weight", "bias"])),
                readers=draw(READERS),
                is_output=draw(st.booleans()),
                shared_with=draw(st.none() | others),
                derived_from=draw(st.none() | st.tuples(st.sampled_from(names), st.sampled_from(names))),
                fixed_range=draw(st.none() | st.tuples(st.floats(-9, 0), st.floats(0, 9))),
                limits=draw(st.tuples(ENDS, ENDS)),
                scale_floor=draw(st.none() | st.just((names[0], 0.5))),
            )
        )
    skips = draw(st.lists(st.builds(Skip, NAMES, NAMES, READERS), max_size=3))
    floats = draw(st.lists(st.tuples(NAMES, NAMES), max_size=2))
    nodes, fences, unbaked = (tuple(draw(st.lists(NAMES, max_size=most))) for most in (3, 2, 2))
    return Plan(draw(NAMES), tuple(points), tuple(skips), nodes, tuple(floats), fences, unbaked)


def _point(tensor: str, **changes: Any) -> Point:
    return Point(tensor, ACTIVATION, "activation", (Reader("conv", 0),), **changes)


@settings(deadline=None)
@given(plan=plans())
def test_a_plan_survives_json(plan: Plan) -> None:
    assert Plan.from_json(plan.to_json()) == plan


@settings(deadline=None)
@given(plan=plans())
def test_every_point_skip_and_node_prints(plan: Plan) -> None:
    text = str(plan)
    lines = [str(point) for point in plan.points] + [str(skip) for skip in plan.skips]
    assert all(line in text for line in lines)
    assert text.startswith(f"target {plan.target}: {len(plan.points)} points, {len(plan.skips)} skips")


@settings(deadline=None)
@given(plan=plans(), data=st.data())
def test_a_damaged_plan_is_refused_by_name(plan: Plan, data: st.DataObject) -> None:
    fields = json.loads(plan.to_json())
    point = data.draw(st.sampled_from(fields["points"]))
    damage = data.draw(st.sampled_from(["drop", "null", "short", "type"]))
    if damage == "drop":
        del point[data.draw(st.sampled_from(sorted(point)))]
    elif damage == "null":
        point[data.draw(st.sampled_from(["tensor", "scheme", "readers", "limits"]))] = None
    elif damage == "short":
        point[data.draw(st.sampled_from(["derived_from", "fixed_range", "limits"]))] = []
    else:
        point["scheme"]["dtype"] = "float4"
    with pytest.raises(PlanError):
        Plan.from_json(json.dumps(fields))


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"target": 1}', "\u0000"])
def test_other_text_is_no_plan(text: str) -> None:
    with pytest.raises(PlanError, match="not a saved plan"):
        Plan.from_json(text)


def test_a_tensor_has_one_point() -> None:
    with pytest.raises(PlanError, match="'x' is planned twice"):
        Plan("t", (_point("x"), _point("y"), _point("x")))


@pytest.mark.parametrize("changes", [{"shared_with": "z"}, {"derived_from": ("x", "z")}])
def test_an_encoding_that_nothing_has_cannot_be_used(changes: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match="'y' needs the encoding of 'z'"):
        Plan("t", (_point("x"), _point("y", **changes)))


def test_sharing_never_makes_a_chain_or_a_circle() -> None:
    with pytest.raises(PlanError, match="'z' shares with 'y', which shares with 'x'"):
        Plan("t", (_point("x"), _point("y", shared_with="x"), _point("z", shared_with="y")))
    with pytest.raises(PlanError, match="'x' shares with 'x'"):
        Plan("t", (_point("x", shared_with="x"),))


def test_groups_begin_with_their_owner() -> None:
    plan = Plan("t", (_point("a", shared_with="b"), _point("b"), _point("c", shared_with="b"), _point("d")))
    assert plan.groups == {"b": ("b", "a", "c")}


def test_only_activations_without_a_fixed_range_are_observed() -> None:
    weight = Point("w", Scheme("int8", axis=0), "weight", (Reader("conv", 1),))
    plan = Plan("t", (_point("x"), weight, _point("s", fixed_range=(0, 1)), _point("y", shared_with="x")))
    assert plan.observed == ("x", "y")
    assert plan.of_role("weight") == (weight,)


def test_a_range_is_cut_to_the_limits() -> None:
    assert _point("x", limits=(0.0, None)).within_limits(-2, 3) == (0, 3)
    assert _point("x", limits=(None, 6.0)).within_limits(-2, 7) == (-2, 6)
    assert _point("x").within_limits(-2, 3) == (-2, 3)


def test_a_point_prints_everything_it_says() -> None:
    point = _point("x", is_output=True, shared_with="y", fixed_range=(0, 1), limits=(0, None))
    assert str(point) == (
        "x: activation uint8 affine -> conv[0], graph output, shared with y, fixed [0, 1], within [0, ...]"
    )
    assert str(Skip("x", "too small.", (Reader("a", 1),))) == "x (a[1]): too small."
