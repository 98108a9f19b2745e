"""Every error quantlab raises on purpose.

    QuantlabError               exit code 1
    ├── DataError               samples cannot be read, or do not fit the model
    ├── ModelError              a model cannot be read, prepared or written
    ├── PlanError               a plan does not fit its model or target
    ├── CalibrationError        statistics or ranges cannot be computed
    ├── EngineError             a runtime failed
    │   └── EngineMissing       a runtime is not installed; the message says what to install
    ├── RecipeError             a setting is unknown or out of its limits; exit code 2, as for other wrong usage
    └── RunError                a run's folder cannot be read or written

A message says what is wrong, where (file, node, tensor, batch, field) and what to do, in one line.
"""

from __future__ import annotations


class QuantlabError(Exception):
    """Base of all errors raised on purpose; the command line prints it in one line and exits with `exit_code`."""

    exit_code = 1


class DataError(QuantlabError):
    """Samples cannot be read, or do not fit the model."""


class ModelError(QuantlabError):
    """A model cannot be read, prepared or written."""


class PlanError(QuantlabError):
    """A plan does not fit its model or target."""


class CalibrationError(QuantlabError):
    """Statistics or ranges cannot be computed."""


class EngineError(QuantlabError):
    """A runtime failed to open or to run a model."""


class EngineMissing(EngineError):
    """A runtime or an optional package is not installed."""


class RecipeError(QuantlabError):
    """A setting is unknown or out of its limits."""

    exit_code = 2


class RunError(QuantlabError):
    """A run's folder cannot be read or written."""


class AnotherRankFailed(QuantlabError):
    """Another process of the same job failed, and tells why; this one only ends."""
