"""A training's outcome → its report: that of a run of `ptq`, with a section `qat`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import numpy as np

from quantlab.affine import Encodings
from quantlab.evaluation import Evaluation
from quantlab.evaluation.resources import Resources
from quantlab.layerwise import Layerwise
from quantlab.pipeline import late_warnings
from quantlab.plan import Plan
from quantlab.qat.history import EpochRecord, History
from quantlab.qat.opening import Opened
from quantlab.qat.parity import Parity
from quantlab.qat.samples import TrainingSamples
from quantlab.qat.settings import QatSettings
from quantlab.report.build import Outcome, Quantized, build_report
from quantlab.report.paths import without_private_paths
from quantlab.report.report import Report
from quantlab.run_folder import FileEntry

# Below this share of equal answers something is lost between the trained module and the runtime.
_LOWEST_PARITY = 0.99


@dataclass(frozen=True, eq=False, slots=True)
class Trained:
    """What a training made, before it is told.

    Attributes:
        opened: models and data.
        settings: how it was trained.
        samples: what it was trained on.
        quantized: plan, encodings, INT8 model and audit after training.
        history: the epochs.
        evaluation: the float model, the start, the trained model.
        layerwise: what each layer of the trained model costs.
        parity: how far the INT8 model does what the trained module does.
    """

    opened: Opened
    settings: QatSettings
    samples: TrainingSamples
    quantized: Quantized
    history: History
    evaluation: Evaluation
    layerwise: Layerwise
    parity: Parity


@dataclass(frozen=True, slots=True)
class MovedScale:
    """How far training moved a scale.

    Attributes:
        tensor: whose scale it is.
        role: activation or weight.
        factor: the scale after over before, of the channel that moved most.
        before: that channel's scale before.
        after: and after.
    """

    tensor: str
    role: str
    factor: float
    before: float
    after: float


def moved_scales(plan: Plan, before: Encodings, after: Encodings) -> tuple[MovedScale, ...]:
    """Return the scales that training moved, the farthest first."""
    moved = []
    for name, encoding in after.items():
        old, new = before[name].scale.reshape(-1), encoding.scale.reshape(-1)
        logarithms = np.log(new.astype(np.float64)) - np.log(old.astype(np.float64))
        worst = int(np.argmax(np.abs(logarithms)))
        if logarithms[worst] != 0:
            factor = float(np.exp(logarithms[worst]))
            role = plan.by_tensor[name].role
            moved.append(MovedScale(name, role, factor, float(old[worst]), float(new[worst])))
    return tuple(sorted(moved, key=lambda scale: -abs(np.log(scale.factor))))


def build_qat_report(
    trained: Trained,
    before: Encodings,
    *,
    files: Mapping[str, FileEntry],
    command: Sequence[str] | None,
    resources: Resources,
) -> Report:
    """Return the report of a training.

    Args:
        trained: what it made.
        before: the encodings it started from.
        files: what the run has written, by name.
        command: the command line, or None for a call from Python.
        resources: what the run took of the machine.
    """
    opened = trained.opened
    outcome = Outcome(
        job=opened.job,
        statistics=opened.statistics,
        quantized={opened.target: trained.quantized},
        evaluation=trained.evaluation,
        notes=(*opened.notes, _samples_note(trained.samples)),
        warnings=(*opened.warnings, *training_warnings(trained), *late_warnings(opened.job, trained.evaluation)),
        files=files,
        command=command,
        layerwise={opened.target: trained.layerwise},
        resources=resources,
    )
    section = without_private_paths(_section(trained, before))
    return Report({**build_report(outcome).content, "qat": section})


def training_warnings(trained: Trained) -> tuple[str, ...]:
    """Return what a user must see: no gain, a loss against the start, or an INT8 model unlike the trained one."""
    stage, warnings = trained.opened.stage, []
    if not trained.history.is_improved:
        warnings.append(
            f"No epoch was better than the {stage} model on the held-out samples: what is returned is that model, "
            "not a trained one. Try more epochs, --learn-scales or another learning rate."
        )
    drop = trained.evaluation.drop_between(f"{trained.opened.target} {stage}", f"{trained.opened.target} qat")
    if drop is not None and drop.points > 0:
        low, high = drop.interval
        warnings.append(
            f"On the evaluation samples the trained model is worse than the {stage} model: {drop.points:.2f} points "
            f"lost [{low:+.2f}, {high:+.2f}]. The {stage} model is beside it."
        )
    if drop is None:
        warnings += _agreement_warnings(trained)
    share = trained.parity.share
    if share is not None and share < _LOWEST_PARITY:
        warnings.append(f"What is deployed is not quite what was trained. {trained.parity}.")
    return tuple(warnings)


def _samples_note(samples: TrainingSamples) -> str:
    return (
        f"Trained on {samples.trained_size} of {samples.size} samples of {samples.name}; the other "
        f"{samples.held_out_size} chose the epoch."
    )


def _agreement_warnings(trained: Trained) -> list[str]:
    """Say whether, without labels, fewer answers are those of the float model than before the training."""
    stage, target = trained.opened.stage, trained.opened.target
    before, after = (trained.evaluation.row(f"{target} {name}").agreement for name in (stage, "qat"))
    if before is None or after is None or after.share >= before.share:
        return []
    answers = f"{after.share:.2%} of its answers are the float model's, {before.share:.2%} before"
    return [f"On the evaluation samples the trained model is worse: {answers}. The {stage} model is beside it."]


def _section(trained: Trained, before: Encodings) -> dict[str, Any]:
    opened = trained.opened
    names = f"{opened.target} {opened.stage}", f"{opened.target} qat"
    drop = trained.evaluation.drop_between(*names)
    moved = moved_scales(opened.start.plan, before, trained.quantized.encodings)
    return {
        "settings": trained.settings.to_plain(),
        "samples": {
            "source": trained.samples.name,
            "trained": trained.samples.trained_size,
            "held_out": trained.samples.held_out_size,
        },
        "start": opened.stage,
        "epochs": [_told(record) for record in trained.history.records],
        "best": trained.history.best.number,
        "drop_against_start": None if drop is None else drop.to_json(),
        "parity": trained.parity.to_json(),
        "scales_moved": [asdict(scale) for scale in moved],
        "summary": _summary(trained),
    }


def _told(record: EpochRecord) -> dict[str, Any]:
    """Return an epoch as JSON holds it, which knows no infinity."""
    told = record.to_json()
    return {**told, "score": {**told["score"], "loss": record.score.loss if isfinite(record.score.loss) else None}}


def _summary(trained: Trained) -> str:
    """Return what the training gained, in sentences."""
    opened, best = trained.opened, trained.history.best
    sentences = [f"Kept: epoch {best.number}." if best.number else f"Kept: the {opened.stage} model, untrained."]
    drop = trained.evaluation.drop_between(f"{opened.target} {opened.stage}", f"{opened.target} qat")
    if drop is not None:
        low, high = (-bound for bound in reversed(drop.interval))
        gained = "more" if drop.points <= 0 else "less"
        sentences.append(
            f"Accuracy after training: {abs(drop.points):.2f} points {gained} than {opened.stage} "
            f"[{low:+.2f}, {high:+.2f}] on {drop.total} samples."
        )
    sentences.append(f"{trained.parity}.")
    return " ".join(sentences)
