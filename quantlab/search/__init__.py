"""What looks for a better plan."""

from quantlab.search.kept_float import KeptFloat as KeptFloat
from quantlab.search.kept_float import few_to_blame as few_to_blame
from quantlab.search.kept_float import try_kept_float as try_kept_float
from quantlab.search.sensitivity import NodeSensitivity as NodeSensitivity
from quantlab.search.sensitivity import OutputNoise as OutputNoise
from quantlab.search.sensitivity import Sensitivity as Sensitivity
from quantlab.search.sensitivity import measure_sensitivity as measure_sensitivity
from quantlab.search.sensitivity import sensitivity_of as sensitivity_of

__all__ = [
    "KeptFloat",
    "NodeSensitivity",
    "OutputNoise",
    "Sensitivity",
    "few_to_blame",
    "measure_sensitivity",
    "sensitivity_of",
    "try_kept_float",
]
