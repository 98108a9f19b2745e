"""What looks for a better plan."""

from quantlab.search.sensitivity import NodeSensitivity as NodeSensitivity
from quantlab.search.sensitivity import Sensitivity as Sensitivity
from quantlab.search.sensitivity import measure_sensitivity as measure_sensitivity

__all__ = ["NodeSensitivity", "Sensitivity", "measure_sensitivity"]
