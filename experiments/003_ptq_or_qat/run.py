"""PTQ against QAT where channels are 1 : spread apart. Needs torch."""

from __future__ import annotations

import dataclasses
from itertools import product
from typing import Any

from experiments.study import RUNS, markdown, quantlab_run, recipe_of
from quantlab.calibrators import CALIBRATORS
from quantlab.recipe import Recipe

SPREADS = (1, 10, 100, 1000)
WEIGHTS, SCALES = "qat weights", "qat weights and scales"
SEEDS = (0, 1, 2)
"""Of the order of the training samples."""

Rows = list[dict[str, Any]]


def measure() -> Rows:
    """Return the accuracy of every way to quantize, for every spread."""
    recipe = recipe_of(__file__)
    worst = str(SPREADS[-1])
    return [
        row
        for spread in SPREADS
        for row in _rows(dataclasses.replace(recipe, model=recipe.model.replace(worst, str(spread))), spread)
    ]


def _rows(recipe: Recipe, spread: int) -> Rows:
    rows: Rows = []
    for calibrator in CALIBRATORS:
        varied = dataclasses.replace(recipe, calibrator=calibrator, qat={})
        float_row, row = quantlab_run(varied, RUNS / "003" / f"{spread}-{calibrator}")["evaluation"]["rows"]
        rows += [] if rows else [_row(spread, "fp32", float_row)]
        rows.append(_row(spread, f"ptq {calibrator}", row))
    for name, seed in product((WEIGHTS, SCALES), SEEDS):
        varied = dataclasses.replace(recipe, seed=seed, qat={**recipe.qat, "learn_scales": name == SCALES})
        report = quantlab_run(varied, RUNS / "003" / f"{spread}-{name.replace(' ', '-')}-{seed}")
        rows.append({**_row(spread, name, report["evaluation"]["rows"][-1]), "seed": seed})
    return rows


def _row(spread: int, name: str, row: dict[str, Any]) -> dict[str, Any]:
    drop = row["drop"] and {"points": row["drop"]["points"], "interval": row["drop"]["interval"]}
    return {"spread": spread, "model": name, "accuracy": 100 * row["accuracies"][0]["share"], "drop": drop}


def table(results: Rows) -> str:
    """Return the best calibrator and both trainings for every spread as Markdown."""
    lines = []
    for spread in SPREADS:
        ptq = {name: _trials(results, spread, f"ptq {name}")[0] for name in CALIBRATORS}
        most = max(row["accuracy"] for row in ptq.values())
        names = [name for name, row in ptq.items() if row["accuracy"] == most]
        who = "all alike" if len(names) == len(ptq) else ", ".join(names)
        cells = [str(spread), f"{most:.2f} ({who})", _drop(ptq[names[0]])]
        for name in (WEIGHTS, SCALES):
            trials = _trials(results, spread, name)
            cells += [", ".join(f"{row['accuracy']:.2f}" for row in trials), _drop(_middle(trials))]
        lines.append(cells)
    head = ["spread", "best PTQ", "drop", "QAT, weights", "drop", "QAT, weights and scales", "drop"]
    return markdown(head, lines)


def answer(results: Rows) -> str:
    """Return what calibration loses at the largest spread, and the share of it that training brings back."""
    spread = SPREADS[-1]
    lost = min(_trials(results, spread, f"ptq {name}")[0]["drop"]["points"] for name in CALIBRATORS)
    left = _middle(_trials(results, spread, SCALES))["drop"]["points"]
    return f"Channels 1 : {spread} apart: {lost:.1f} points lost, {1 - left / lost:.0%} of it trained back."


def _trials(results: Rows, spread: int, model: str) -> Rows:
    """Return the rows of one cell, one per seed, the least accurate first."""
    found = [row for row in results if (row["spread"], row["model"]) == (spread, model)]
    return sorted(found, key=lambda row: row["accuracy"])


def _middle(trials: Rows) -> dict[str, Any]:
    return trials[len(trials) // 2]


def _drop(row: dict[str, Any]) -> str:
    low, high = row["drop"]["interval"]
    return f"{row['drop']['points']:.2f} [{low:.2f}, {high:.2f}]"
