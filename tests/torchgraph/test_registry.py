"""Operators are found by version, registered once, and missed all at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from quantlab.errors import ModelError
from quantlab.torchgraph import registry
from quantlab.torchgraph.module import GraphModule
from quantlab.torchgraph.registry import find_op, register_op
from tests.graph.models import parsed

pytestmark = pytest.mark.torch


@pytest.fixture
def own_domain() -> Iterator[str]:
    yield "own"
    for key in [key for key in registry._ops if key[0] == "own"]:
        del registry._ops[key]


def test_the_newest_version_that_is_not_too_new_is_found(own_domain: str) -> None:
    first = register_op(own_domain, "Shift", 1)(lambda x: x + 1)
    third = register_op(own_domain, "Shift", 3)(lambda x: x + 3)
    assert [found and found.function for found in (find_op(own_domain, "Shift", v) for v in (1, 2, 3, 9))] == [
        first,
        first,
        third,
        third,
    ]
    assert find_op(own_domain, "Shift", 0) is None


def test_a_second_function_for_a_version_is_refused(own_domain: str) -> None:
    register_op(own_domain, "Shift")(lambda x: x)
    with pytest.raises(ModelError, match="Shift of own since version 1 is registered already"):
        register_op(own_domain, "Shift")(lambda x: x)
    with pytest.raises(ModelError, match="Relu of ONNX since version 14 is registered already"):
        register_op("ai.onnx", "Relu", 14)(lambda x: x)


def test_a_second_function_replaces_the_first_when_asked(own_domain: str) -> None:
    register_op(own_domain, "Shift")(lambda x: x)
    second = register_op(own_domain, "Shift", replace=True)(lambda x: x + 1)
    found = find_op(own_domain, "Shift", 1)
    assert found is not None
    assert found.function is second


def test_a_registered_function_runs_with_attributes_and_trains(own_domain: str) -> None:
    @register_op(own_domain, "Scale", weights=(1,))
    def scale(x: Tensor, gain: Tensor, *, power: int = 1) -> Tensor:
        return x * gain**power

    model = parsed(
        "g (float[N, 3] x) => (float[N, 3] y) { y = own.Scale<power=2>(x, gain) }",
        gain=torch.tensor([1.0, 2.0, 3.0]).numpy(),
    )
    module = GraphModule(model)
    result = module(torch.ones(2, 3))["y"]
    result.sum().backward()
    assert result.tolist() == [[1.0, 4.0, 9.0]] * 2
    gradient = module.parameters_by_name["gain"].grad
    assert gradient is not None
    assert gradient.tolist() == [4.0, 8.0, 12.0]


def test_all_unknown_operators_are_listed_at_once() -> None:
    model = parsed("""g (float[N, 3] x) => (float[N, 3] y) {
        [first] a = own.One(x) [second] b = own.Two(a) [third] c = own.One(b) [fourth] y = Relu(c) }""")
    with pytest.raises(ModelError) as caught:
        GraphModule(model)
    message = str(caught.value)
    assert "own.One (opset 1) in One 'first', One 'third'" in message
    assert "own.Two (opset 1) in Two 'second'" in message
    assert "Relu" not in message
    assert "register_op" in message


def test_importing_the_registry_needs_no_torch() -> None:
    code = "import sys, quantlab.torchgraph.registry; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    "statement",
    ["import quantlab.torchgraph.module", "from quantlab.torchgraph.registry import load_ops; load_ops()"],
)
def test_without_torch_the_error_says_what_to_install(statement: str) -> None:
    code = f"import sys; sys.modules['torch'] = None\n{statement}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "EngineMissing" in done.stderr.splitlines()[-1]
    assert "pip install 'quantlab[torch]'" in done.stderr.splitlines()[-1]
