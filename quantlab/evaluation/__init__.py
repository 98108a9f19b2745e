"""Accuracy, agreement, latency, size and memory of models, side by side."""

from quantlab.evaluation.accuracy import Accuracy, PairedDrop, accuracy_of, paired_drop
from quantlab.evaluation.agreement import Agreement, Sqnr
from quantlab.evaluation.differences import LayerDiff, LayerDifference
from quantlab.evaluation.environment import Environment, read_environment
from quantlab.evaluation.evaluate import evaluate
from quantlab.evaluation.evaluation import Evaluation, Row
from quantlab.evaluation.latency import Latency, LatencySettings, Speedup, measure_latency, speedup
from quantlab.evaluation.layers import compare_layers, matching_tensors
from quantlab.evaluation.memory import Memory, measure_memory
from quantlab.evaluation.settings import EvaluationSettings
from quantlab.evaluation.size import Size, measure_size
from quantlab.evaluation.verdict import verdict, verdicts

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
    "verdicts",
]
