"""Model + target → findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from quantlab.graph.model import Model
from quantlab.lint.finding import SEVERITIES, Finding
from quantlab.lint.rules import RULES
from quantlab.lint.subject import Subject
from quantlab.targets import target_named

_PLACES = 4
"""How many places of one fault are printed: a network can have it at every node."""


@dataclass(frozen=True, slots=True)
class Lint:
    """What was found in one model.

    Attributes:
        model: its name.
        target: whose rules were applied.
        findings: in the order of the nodes, those of one node by rule.
    """

    model: str
    target: str
    findings: tuple[Finding, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def __str__(self) -> str:
        if self.is_clean:
            return f"{self.model}: nothing found that {self.target} would refuse, misread or run in float"
        counts = Counter(finding.severity for finding in self.findings)
        summary = ", ".join(f"{counts[name]} {name}" for name in SEVERITIES if counts[name])
        noun = "finding" if len(self.findings) == 1 else "findings"
        blocks = [_block(findings) for findings in self._by_reason()]
        return "\n".join([*blocks, f"{self.model}: {len(self.findings)} {noun} for {self.target} ({summary})"])

    def _by_reason(self) -> list[list[Finding]]:
        """Return the findings that have reason and remedy in common together, the gravest first."""
        groups: dict[tuple[str, str, str], list[Finding]] = {}
        for finding in self.findings:
            groups.setdefault((finding.rule, finding.why, finding.fix), []).append(finding)
        return sorted(groups.values(), key=lambda group: SEVERITIES.index(group[0].severity))

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        findings = [finding.to_json() for finding in self.findings]
        return {"model": self.model, "target": self.target, "findings": findings}


def _block(findings: Sequence[Finding]) -> str:
    """Return findings as text: the first places, then what holds of all."""
    places = [finding.place for finding in findings[:_PLACES]]
    more = len(findings) - _PLACES
    if more > 0:
        places.append(f"{findings[0].rule} {findings[0].severity}: and {more} more, which --json lists")
    return "\n".join([*places, findings[0].remedy])


def lint(model: Model, target: str = "tensorrt") -> Lint:
    """Return the faults of a model that a runtime accepts silently or refuses obscurely.

    Args:
        model: a Q/DQ model of any tool.
        target: the runtime that is to take it.

    Raises:
        RecipeError: there is no such target.
        ModelError: an opset below 13 cannot be raised to it.
    """
    target_named(target)
    subject = Subject(model)
    order = {node.name or "": index for index, node in enumerate(subject.original.graph)}
    findings = {finding: None for rule in RULES if rule.target == target for finding in rule.findings(subject)}
    ordered = sorted(findings, key=lambda finding: (order.get(finding.node, len(order)), finding.rule))
    return Lint(model.name, target, tuple(ordered))
