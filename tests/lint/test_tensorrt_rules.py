"""Every rule for TensorRT finds its fault, at the right node, and nothing else."""

import pytest

from quantlab.lint import RULES, lint
from tests.lint import planted_encodings, planted_placement

PLANTED = {**planted_encodings.PLANTED, **planted_placement.PLANTED}
CASES = [*((rule, planted) for rule, planted in PLANTED.items()), *planted_placement.MORE.values()]


def test_every_rule_has_a_planted_model():
    assert set(PLANTED) == {rule.identifier for rule in RULES if rule.target == "tensorrt"}


@pytest.mark.parametrize(("rule", "planted"), CASES, ids=[rule for rule, _ in CASES])
def test_a_planted_fault_is_found_at_its_node_and_nothing_else(rule, planted):
    found = lint(planted.build(), "tensorrt").findings
    assert [(finding.rule, finding.node) for finding in found] == [(rule, planted.node)], found
