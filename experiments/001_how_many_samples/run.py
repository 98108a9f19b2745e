"""How many samples are enough: calibrate the bundled network on more and more samples and watch what changes."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from experiments.study import RUNS, markdown, quantlab_run, recipe_of
from quantlab.calibrators import CALIBRATORS

SAMPLES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 384)
SHOWN = (1, 8, 16, 32, 64, 128, 384)
CLOSE_DB = 1.0

Rows = list[dict[str, Any]]


def measure() -> Rows:
    """Return for every number of samples and calibrator how far the scales are from the final ones."""
    recipe = recipe_of(__file__)
    scales: dict[tuple[int, str], dict[str, float]] = {}
    rows: Rows = []
    for samples in SAMPLES:
        for calibrator in CALIBRATORS:
            varied = dataclasses.replace(recipe, samples=samples, calibrator=calibrator)
            report = quantlab_run(varied, RUNS / "001" / f"{calibrator}-{samples}")
            tensors = report["targets"]["onnxruntime"]["tensors"]
            scales[samples, calibrator] = {t["tensor"]: t["scale"][0] for t in tensors if t["role"] == "activation"}
            row = report["evaluation"]["rows"][1]
            measured = {"sqnr_db": row["sqnr"]["sqnr_db"], "drop": row["drop"]["points"]}
            rows.append({"samples": samples, "calibrator": calibrator, **measured})
    for row in rows:
        final, here = (scales[samples, row["calibrator"]] for samples in (SAMPLES[-1], row["samples"]))
        changes = [abs(here[tensor] / final[tensor] - 1) for tensor in final]
        row["median_scale_change"] = float(np.median(changes))
        row["largest_scale_change"] = float(np.max(changes))
    return rows


def table(results: Rows) -> str:
    """Return entropy and minmax, the two ends, as Markdown."""
    found = {(row["samples"], row["calibrator"]): row for row in results}
    head = ["samples", "entropy: median change of a scale", "SQNR of the output", "minmax: median change", "SQNR"]
    lines = []
    for samples in SHOWN:
        cells = [str(samples)]
        for row in (found[samples, "entropy"], found[samples, "minmax"]):
            change = "-" if samples == SAMPLES[-1] else f"{row['median_scale_change']:.1%}".replace("%", " %")
            cells += [change, f"{row['sqnr_db']:.1f} dB"]
        lines.append(cells)
    return markdown(head, lines)


def answer(results: Rows) -> str:
    """Return the fewest samples from which on the SQNR of no calibrator is as far as CLOSE_DB from its final one."""
    final = {row["calibrator"]: row["sqnr_db"] for row in results if row["samples"] == SAMPLES[-1]}
    far = [row["samples"] for row in results if abs(row["sqnr_db"] - final[row["calibrator"]]) >= CLOSE_DB]
    enough = next(samples for samples in SAMPLES if samples > max(far, default=0))
    return f"For the bundled digits network, {enough}."
