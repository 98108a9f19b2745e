"""How many samples are enough: calibrate the bundled network on more and more samples and watch what changes.

Run from the repository's root:  python experiments/001_how_many_samples/run.py
It reads recipe.toml beside it and writes results.json there.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np

from quantlab.calibrators import CALIBRATORS, calibrator_named
from quantlab.files import replacing
from quantlab.job import open_job
from quantlab.pipeline import evaluate_for, quantize
from quantlab.recipe import Recipe
from quantlab.resume import collect_for

HERE = Path(__file__).parent
SAMPLES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 384)


def main() -> None:
    """Write results.json: for every number of samples and calibrator, how far the scales are from the final ones."""
    recipe = Recipe.load(HERE / "recipe.toml")
    scales: dict[int, dict[str, dict[str, float]]] = {}
    rows = []
    for samples in SAMPLES:
        job = open_job(dataclasses.replace(recipe, samples=samples))
        statistics = collect_for(job).statistics
        plan = job.plans["onnxruntime"]
        made = {name: quantize(job, plan, statistics, calibrator_named(name)) for name in CALIBRATORS}
        scales[samples] = {
            name: {tensor: float(e.scale) for tensor, e in quantized.encodings.items() if e.scale.ndim == 0}
            for name, quantized in made.items()
        }
        evaluation = evaluate_for(job, {f"onnxruntime {name}": quantized.model for name, quantized in made.items()})
        for name in CALIBRATORS:
            row = evaluation.row(f"onnxruntime {name}")
            assert row.sqnr is not None
            assert row.drop is not None  # digits are labelled
            rows.append({"samples": samples, "calibrator": name, "sqnr_db": row.sqnr.db, "drop": row.drop.points})
    for row in rows:
        final, here = scales[SAMPLES[-1]][row["calibrator"]], scales[row["samples"]][row["calibrator"]]
        changes = [abs(here[tensor] / final[tensor] - 1) for tensor in final]
        row["median_scale_change"] = float(np.median(changes))
        row["largest_scale_change"] = float(np.max(changes))
    with replacing(HERE / "results.json") as temporary:
        temporary.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
