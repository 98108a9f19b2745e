"""What holds for every registered operator: ONNX's own node tests, its versions, its attributes."""

from __future__ import annotations

import fnmatch
import inspect
from typing import Any

import onnx
import pytest

from quantlab.torchgraph.registry import NEWEST_OPSET, OLDEST_OPSET, Op, find_op, registered_ops
from tests.torchgraph import backend
from tests.torchgraph.older import ORT_DIFFERS, lowered
from tests.torchgraph.skips import SKIPS, reason_to_skip

pytestmark = pytest.mark.torch

OPS = [found for found in registered_ops() if not found.domain]
NAMES = sorted({found.op_type for found in OPS})
CONSTANT = {("", "Constant")}
# A version that added types only needs no more cases than this; opening a session for each takes most of the time.
ENOUGH = 12
KNOWN_TO_ONNX = range(OLDEST_OPSET, min(NEWEST_OPSET, onnx.defs.onnx_opset_version()) + 1)


@pytest.mark.parametrize("op_type", NAMES)
def test_an_operator_passes_the_node_tests_of_onnx(op_type: str) -> None:
    cases = backend.node_cases("", op_type)
    assert cases
    failures = {case.name: backend.failure(case) for case in cases if reason_to_skip(case.name) is None}
    assert not {name: why for name, why in failures.items() if why}


def test_operators_pass_where_onnx_writes_them_as_several_nodes() -> None:
    failures = {case.name: backend.failure(case) for case in backend.cases() if _is_expanded_and_known(case)}
    assert len(failures) > 300
    assert not {name: why for name, why in failures.items() if why}


def test_no_skip_is_without_need() -> None:
    every = [case for op_type in NAMES for case in backend.node_cases("", op_type)]
    failing = [case.name for case in every if reason_to_skip(case.name) and backend.failure(case)]
    assert not [pattern for pattern in SKIPS if not fnmatch.filter(failing, pattern)]


@pytest.mark.parametrize("op_type", NAMES)
def test_every_version_that_onnx_knows_is_registered(op_type: str) -> None:
    wanted = {backend.since_version(op_type, opset) for opset in KNOWN_TO_ONNX} - {None}
    registered = {found.since for found in OPS if found.op_type == op_type and found.since <= KNOWN_TO_ONNX[-1]}
    assert registered == wanted


@pytest.mark.parametrize("found", OPS, ids=str)
def test_attributes_have_the_names_and_defaults_of_onnx(found: Op) -> None:
    if found.since > KNOWN_TO_ONNX[-1]:
        pytest.skip(f"onnx {onnx.__version__} does not know version {found.since}")
    schema = onnx.defs.get_schema(found.op_type, found.since, "")
    parameters = inspect.signature(found.function).parameters.values()
    keywords = {p.name: p.default for p in parameters if p.kind == p.KEYWORD_ONLY and p.name != "outputs"}
    for name, attribute in schema.attributes.items():
        assert name in keywords
        if attribute.required:
            assert keywords[name] is inspect.Parameter.empty
        elif attribute.default_value.type != onnx.AttributeProto.UNDEFINED:
            assert keywords[name] == pytest.approx(_default(attribute.default_value))
    positional = [p for p in parameters if p.kind != p.KEYWORD_ONLY]
    # What a later version added is optional.
    assert len(positional) >= len(schema.inputs)


@pytest.mark.parametrize("found", OPS, ids=str)
def test_older_versions_agree_with_onnx_runtime(found: Op) -> None:
    if any(backend.since_version(found.op_type, case.opset) == found.since for case in _current(found)):
        return  # the node tests are of this version
    opset = max(found.since, OLDEST_OPSET)
    current = [case for case in _current(found) if not reason_to_skip(case.name) and case.name not in ORT_DIFFERS]
    compared = 0
    for case in filter(_is_valid, (lowered(case, opset) for case in current)):
        try:
            wanted = backend.run_in_onnx_runtime(case.proto, case.feeds)
        except Exception:  # noqa: BLE001 - ONNX Runtime lacks kernels for some types
            continue
        got = backend.run(case.proto, case.feeds)
        assert not backend.difference(got, wanted, case.rtol, case.atol), case.name
        compared += 1
        if compared == ENOUGH:
            break
    assert compared, "no case of this version: teach tests/torchgraph/older.py to make one"


def _current(found: Op) -> list[backend.Case]:
    return backend.node_cases("", found.op_type)


def _is_expanded_and_known(case: backend.Case) -> bool:
    has_types = not any(kind in case.name for kind in ("16", "uint32", "uint64", "FLOAT8", "FLOAT4", "INT4", "INT2"))
    is_known = all(not domain and find_op("", op_type, case.opset) for domain, op_type in set(case.ops) - CONSTANT)
    return len(case.ops) > 1 and has_types and is_known and case.opset in KNOWN_TO_ONNX


def _is_valid(case: backend.Case) -> bool:
    try:
        onnx.checker.check_model(case.proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
        return False
    return True


def _default(attribute: onnx.AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    return value.decode() if isinstance(value, bytes) else value
