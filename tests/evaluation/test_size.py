"""Sizes are those of the file that `save` writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quantlab.evaluation.size import measure_size
from quantlab.graph.save import save
from tests.engines.models import chain, rounding


def test_the_file_size_is_that_of_the_saved_file(tmp_path: Path):
    save(rounding(), tmp_path / "model.onnx")
    size = measure_size(rounding())
    assert size.file_bytes == (tmp_path / "model.onnx").stat().st_size
    assert size.weight_bytes == 5  # one float32 scale and one int8 zero point
    assert json.loads(json.dumps(size.to_json()))["weight_bytes"] == 5


def test_a_model_without_weights_still_has_a_file():
    size = measure_size(chain())
    assert size.weight_bytes == 0
    assert size.file_bytes > 0


def test_beyond_the_limit_of_protobuf_the_weights_count(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("quantlab.graph.save.PROTOBUF_LIMIT_BYTES", 0)
    assert measure_size(rounding()).file_bytes == 5
