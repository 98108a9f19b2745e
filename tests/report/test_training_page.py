"""The section on a training in the page of a report: its curves, its tables, and nothing where there was none."""

from __future__ import annotations

import re
from typing import Any

import pytest

from quantlab.markup import to_markup
from quantlab.report.html.curves import Curve, curves
from quantlab.report.html.training import training


def epoch(number: int, loss: float | None, held_out: float | None, right: int) -> dict[str, Any]:
    score = {"measure": "accuracy", "right": right, "total": 100, "loss": held_out}
    rate = 1e-3 / number if number else None
    return {"number": number, "epochs": 2, "loss": loss, "score": score, "learning_rate": rate, "seconds": 1.5}


def content(**changes: Any) -> dict[str, Any]:
    def model(name: str, share: float, drop: float | None) -> dict[str, Any]:
        told = None if drop is None else {"points": drop, "interval": [drop - 1, drop + 2]}
        return {"name": name, "accuracies": [{"share": share, "interval": [share - 0.05, share + 0.04]}], "drop": told}

    section = {
        "summary": "Kept: epoch 2 <of 2>.",
        "settings": {"epochs": 2, "features": [], "clip_norm": None},
        "start": "ptq",
        "epochs": [epoch(0, None, 0.5, 80), epoch(1, 0.4, 0.04, 85), epoch(2, 0.3, 0.01, 90)],
        "best": 2,
        "drop_against_start": {"points": -9.0, "interval": [-12.0, -7.0]},
        "parity": {"samples": 64, "agreeing": 63, "answers": 64, "worst_error": 0.25, "worst_steps": 1.0},
        "scales_moved": [{"tensor": "a<b", "role": "weight", "factor": 0.5, "before": 0.2, "after": 0.1}],
        **changes,
    }
    rows = [model("fp32", 0.92, None), model("onnxruntime ptq", 0.82, 10.0), model("onnxruntime qat", 0.92, 0.0)]
    return {"qat": section, "evaluation": {"rows": rows}}


def page(**changes: Any) -> str:
    made = training(content(**changes))
    assert made is not None
    return to_markup([made])


def test_the_way_from_float_to_trained_is_told_with_paired_intervals() -> None:
    said = page()
    for text in ("92.00%", "-10.00", "-12.00 to -9.00", "gain over ptq", "+9.00", "+7.00 to +12.00"):
        assert text in said
    assert "-0.00" not in said


def test_the_curves_tell_every_epoch_and_are_logarithmic_where_losses_are_far_apart() -> None:
    said = page()
    assert "Loss, logarithmic, by epoch" in said
    assert "<title>held out, start: 0.5</title>" in said
    assert "<title>trained on, epoch 2: 0.3</title>" in said
    assert "Accuracy in %, held out, by epoch" in said
    assert re.search(r'<span [^>]*class="key c1"[^>]*></span>held out', said)
    assert "<title>weights, epoch 1: 0.001</title>" in said


def test_the_epoch_that_was_kept_the_scales_that_moved_and_the_parity_are_told() -> None:
    said = page()
    for text in ("epoch 2 (kept)", "a&lt;b", "0.500", "63 of 64", "1.00", "&lt;of 2&gt;", "clip_norm"):
        assert text in said


def test_what_is_missing_leaves_no_hole() -> None:
    start = epoch(0, None, None, 80)
    start["score"]["total"] = 0
    parity = {"samples": 4, "agreeing": 0, "answers": 0, "worst_error": 0.0, "worst_steps": None}
    said = page(epochs=[start], best=0, drop_against_start=None, scales_moved=[], parity=parity)
    assert "Loss: no finite number to draw." in said
    assert "start (kept)" in said
    assert "Scales that training moved" not in said


def test_without_training_there_is_no_section() -> None:
    assert training({"evaluation": {"rows": []}}) is None


@pytest.mark.parametrize("points", [[(1, 0.5)], [(1, 0.5), (2, 0.5)], [(0, -1.0), (1, 0.0), (2, 3.0)]])
def test_curves_lie_within_their_drawing(points: list[tuple[int, float]]) -> None:
    made = curves("Loss", [Curve("held out", points)])
    for dot in made.iter("circle"):
        assert 0 <= float(dot.get("cx", "-1")) <= 640
        assert 0 <= float(dot.get("cy", "-1")) <= 200
