"""Accuracy, agreement, latency, size and memory of models, side by side."""

from quantlab.evaluate.accuracy import Accuracy, PairedDrop, accuracy_of, paired_drop
from quantlab.evaluate.agreement import Agreement, Sqnr
from quantlab.evaluate.environment import Environment, read_environment
from quantlab.evaluate.evaluate import evaluate
from quantlab.evaluate.evaluation import Evaluation, Row
from quantlab.evaluate.latency import Latency, LatencySettings, Speedup, measure_latency, speedup
from quantlab.evaluate.layers import LayerDiff, LayerDifference, compare_layers, matching_tensors
from quantlab.evaluate.memory import Memory, measure_memory
from quantlab.evaluate.settings import EvaluationSettings
from quantlab.evaluate.size import Size, measure_size
from quantlab.evaluate.verdict import verdict

__all__ = [
    "Accuracy",
    "Agreement",
    "Environment",
    "Evaluation",
    "EvaluationSettings",
    "Latency",
    "LatencySettings",
    "LayerDiff",
    "LayerDifference",
    "Memory",
    "PairedDrop",
    "Row",
    "Size",
    "Speedup",
    "Sqnr",
    "accuracy_of",
    "compare_layers",
    "evaluate",
    "matching_tensors",
    "measure_latency",
    "measure_memory",
    "measure_size",
    "paired_drop",
    "read_environment",
    "speedup",
    "verdict",
]
