"""Accuracy, agreement, latency, size and memory of models, side by side."""

from quantlab.evaluate.accuracy import Accuracy, PairedDrop, accuracy, paired_drop
from quantlab.evaluate.agreement import Agreement, Sqnr
from quantlab.evaluate.environment import Environment, read_environment
from quantlab.evaluate.evaluate import evaluate
from quantlab.evaluate.evaluation import Evaluation, Row
from quantlab.evaluate.latency import Latency, LatencySettings, Speedup, measure_latency, speedup
from quantlab.evaluate.memory import Memory, measure_memory
from quantlab.evaluate.settings import EvaluationSettings
from quantlab.evaluate.size import Size, measure_size

__all__ = [
    "Accuracy",
    "Agreement",
    "Environment",
    "Evaluation",
    "EvaluationSettings",
    "Latency",
    "LatencySettings",
    "Memory",
    "PairedDrop",
    "Row",
    "Size",
    "Speedup",
    "Sqnr",
    "accuracy",
    "evaluate",
    "measure_latency",
    "measure_memory",
    "measure_size",
    "paired_drop",
    "read_environment",
    "speedup",
]
