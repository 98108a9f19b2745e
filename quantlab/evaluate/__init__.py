"""Accuracy, agreement and latency."""
