"""PTQ against QAT where channels are 1 : spread apart.

Run from the repository's root:  python experiments/003_ptq_or_qat/run.py
It needs torch, reads recipe.toml beside it and writes results.json there.
"""

from __future__ import annotations

import json
from pathlib import Path

from quantlab.comparison import compare
from quantlab.evaluation.evaluation import Row
from quantlab.files import replacing
from quantlab.job import Inputs, open_job
from quantlab.qat import Hooks, QatSettings
from quantlab.qat.opening import TrainingInputs
from quantlab.qat.run import Place, train_recipe
from quantlab.recipe import Recipe
from quantlab.zoo.solved import small_digits, solved_network

HERE = Path(__file__).parent
SPREADS = (1.0, 10.0, 100.0, 1000.0)
EPOCHS = 8


def main() -> None:
    """Write results.json: the accuracy of every way to quantize, for every spread."""
    recipe = Recipe.load(HERE / "recipe.toml")
    rows = [row for spread in SPREADS for row in _rows(recipe, spread)]
    with replacing(HERE / "results.json") as temporary:
        temporary.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def _rows(recipe: Recipe, spread: float) -> list[dict[str, object]]:
    model, calibration, evaluation = solved_network(spread), small_digits("calibration"), small_digits("evaluation")
    after_ptq = compare(open_job(recipe, Inputs(model, calibration, evaluation))).evaluation
    rows = [_row(spread, "fp32", after_ptq.rows[0])]
    rows += [_row(spread, f"ptq {row.name.split()[1]}", row) for row in after_ptq.rows[1:]]
    images, _ = small_digits("train")  # without labels: the float network is the teacher
    for name, learn_scales in (("qat weights", False), ("qat weights and scales", True)):
        settings = QatSettings(epochs=EPOCHS, learn_scales=learn_scales, device="cpu")
        inputs = TrainingInputs(model, calibration, evaluation, train_data=images)
        run = train_recipe(recipe, settings, inputs, hooks=Hooks(), place=Place())
        seconds = sum(record.seconds for record in run.history.records[1:])
        rows.append({**_row(spread, name, run.evaluation.rows[-1]), "seconds": seconds})
    return rows


def _row(spread: float, name: str, row: Row) -> dict[str, object]:
    assert row.accuracies  # digits are labelled
    drop = None if row.drop is None else {"points": row.drop.points, "interval": list(row.drop.interval)}
    return {"spread": spread, "model": name, "accuracy": 100 * row.accuracies[0].share, "drop": drop}


if __name__ == "__main__":
    main()
