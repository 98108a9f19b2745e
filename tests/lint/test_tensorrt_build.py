"""The builder of TensorRT-RTX does with every planted model what its rule says."""

from __future__ import annotations

import pytest

from quantlab.errors import EngineError
from quantlab.graph.model import Model
from quantlab.lint import RULES
from tests.lint import planted_encodings, planted_placement
from tests.rtx import BuiltEngine, build_engines, requires_rtx

pytestmark = [pytest.mark.tensorrt, requires_rtx]

PLANTED = {**planted_encodings.PLANTED, **planted_placement.PLANTED}
REFUSED = [rule.identifier for rule in RULES if rule.target == "tensorrt" and rule.severity == "refused"]
# Faults that turn the product into a float one.
FLOAT = {
    "TRT107": "conv",
    "TRT108": "conv",
    "TRT109": "conv",
    "TRT305": "conv",
    "TRT404": "deconv",
}


@pytest.fixture(scope="module")
def engines() -> dict[str, BuiltEngine]:
    """Build in one process all that is accepted."""
    models: dict[str, Model] = {name: PLANTED[name].build() for name in PLANTED if name not in REFUSED}
    return build_engines(models)


@pytest.mark.parametrize("rule", REFUSED)
def test_what_is_called_refused_is_refused(rule):
    with pytest.raises(EngineError):
        build_engines({rule: PLANTED[rule].build()})


def test_what_is_not_called_refused_builds(engines):
    assert set(engines) == set(PLANTED) - set(REFUSED)


@pytest.mark.parametrize("rule", FLOAT)
def test_a_product_with_the_fault_runs_in_float(rule, engines):
    layers = engines[rule].layers_of(FLOAT[rule])
    assert layers
    assert not any(layer.multiplies_int8 for layer in layers)


def test_uint8_integers_are_read_as_int8(engines):
    # Were they unsigned, the convolution would not be an integer one: there is no kernel that mixes the two.
    for rule in ("TRT101", "TRT102"):
        assert any(layer.multiplies_int8 for layer in engines[rule].layers_of("conv"))
