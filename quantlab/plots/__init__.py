"""Results → figures of matplotlib, for notebooks; nothing else in quantlab imports it."""

from quantlab.plots.histogram import plot_histogram as plot_histogram
from quantlab.plots.sensitivity import plot_sensitivity as plot_sensitivity
from quantlab.plots.tradeoff import plot_tradeoff as plot_tradeoff

__all__ = ["plot_histogram", "plot_sensitivity", "plot_tradeoff"]
