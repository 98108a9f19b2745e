"""Streaming statistics of tensors, exactly mergeable."""
