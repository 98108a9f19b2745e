"""Streaming statistics of tensors, exactly mergeable."""

from quantlab.stats.count import TensorCounter, statistics_of
from quantlab.stats.table import Statistics
from quantlab.stats.tensor import TensorStatistics

__all__ = ["Statistics", "TensorCounter", "TensorStatistics", "statistics_of"]
