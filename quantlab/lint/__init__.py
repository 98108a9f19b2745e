"""Faults of Q/DQ models, found before any build: what runtimes accept silently or refuse obscurely."""

from quantlab.lint.check import Lint, lint
from quantlab.lint.finding import Finding
from quantlab.lint.fix import Fixed, fix
from quantlab.lint.rules import RULES

__all__ = ["RULES", "Finding", "Fixed", "Lint", "fix", "lint"]
