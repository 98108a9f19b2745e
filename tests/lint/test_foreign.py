"""Models in the forms of other quantizers: their faults are found, and repaired."""

import pytest

from quantlab.graph.model import Model
from quantlab.interop.requantize import requantize
from quantlab.lint import fix, lint
from quantlab.plan import Reader
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


@pytest.mark.tensorrt
@requires_rtx
def test_the_builder_multiplies_integers_as_planned():
    made = {name: requantize(build(), "tensorrt").migration for name, (build, _) in FOREIGN.items()}
    engines = build_engines({name: migration.int8_model for name, migration in made.items()})
    assert not {name: found for name, made in made.items() if (found := engines[name].float_nodes_of(made.plan))}
