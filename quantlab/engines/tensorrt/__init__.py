"""TensorRT 10.12 and later, TensorRT 11 and TensorRT-RTX, on one code path: build plans, look into them, run them.

runtimes   which one is installed            settings, shapes   what to build, for which sizes
building   model → plan, by `worker`, in a process of its own
layers     what the engine consists of       plan_file          the plan on disk, and what it belongs to
"""

from quantlab.engines.tensorrt.building import BuiltEngine, build_engines, build_plan, runtime_for
from quantlab.engines.tensorrt.engine import TensorRT
from quantlab.engines.tensorrt.execution import RunSettings
from quantlab.engines.tensorrt.layers import EngineLayer, parse_layers
from quantlab.engines.tensorrt.plan_file import PlanRecord, read_plan, read_record
from quantlab.engines.tensorrt.runtimes import RUNTIMES, installed_runtime
from quantlab.engines.tensorrt.session import TensorRtSession
from quantlab.engines.tensorrt.settings import BuildSettings
from quantlab.engines.tensorrt.shapes import ShapeRange, parse_shapes, profile_for

__all__ = [
    "RUNTIMES",
    "BuildSettings",
    "BuiltEngine",
    "EngineLayer",
    "PlanRecord",
    "RunSettings",
    "ShapeRange",
    "TensorRT",
    "TensorRtSession",
    "build_engines",
    "build_plan",
    "installed_runtime",
    "parse_layers",
    "parse_shapes",
    "profile_for",
    "read_plan",
    "read_record",
    "runtime_for",
]
