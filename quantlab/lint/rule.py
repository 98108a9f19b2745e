"""What a rule is: a fault that a runtime takes without a word, or refuses with words that do not help."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from quantlab.lint.finding import Finding, Hit, Severity
from quantlab.lint.subject import Subject

Check = Callable[[Subject], Iterable[Hit]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A fault to look for.

    Attributes:
        identifier: `TRT101`; the letters are the target's, the first digit the family's.
        target: the target it is about.
        title: a few words.
        severity: what the fault leads to.
        why: why it matters, a sentence.
        fix: what to do, a sentence.
        check: yields the places where a model has the fault.
    """

    identifier: str
    target: str
    title: str
    severity: Severity
    why: str
    fix: str
    check: Check

    def findings(self, subject: Subject) -> Iterable[Finding]:
        """Yield the findings of this rule in one model."""
        for node, tensor, what in self.check(subject):
            yield Finding(self.identifier, self.severity, node, tensor, what, self.why, self.fix)
