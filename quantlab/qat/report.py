"""A training's outcome → its report: that of a run of `ptq`, with a section `qat`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import numpy as np

from quantlab.affine import Encodings
from quantlab.evaluation import Evaluation
from quantlab.evaluation.accuracy import PairedDrop
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
        trained_by: version and device of torch.
    """

    opened: Opened
    settings: QatSettings
    samples: TrainingSamples
    quantized: Quantized
    history: History
    evaluation: Evaluation
    layerwise: Layerwise
    parity: Parity
    trained_by: str


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
        notes=(*opened.notes, *training_notes(trained)),
        warnings=(
            *opened.warnings,
            *training_warnings(trained),
            *late_warnings(opened.job, opened.statistics, trained.evaluation),
        ),
        files=files,
        command=command,
        layerwise={opened.target: trained.layerwise},
        resources=resources,
        collected_by=opened.collected_by,
    )
    section = without_private_paths(_section(trained, before))
    return Report({**build_report(outcome).content, "qat": section})


@dataclass(frozen=True, slots=True)
class Loss:
    """In what a trained model is behind its start.

    Attributes:
        what: by how much, with the interval where there is one.
        is_certain: whether the samples tell it from chance.
    """

    what: str
    is_certain: bool


def loss_against_start(evaluation: Evaluation, start: str, trained: str) -> Loss | None:
    """Return in what the trained model is behind the start on the evaluation samples, or None where in nothing.

    By right answers; without labels by answers equal to the float model's; where there are no answers by the output's
    noise, which training was to lessen.
    """
    drop = evaluation.drop_between(start, trained)
    if drop is not None:
        return _lost(drop, "points lost")
    before, after = (evaluation.row(name) for name in (start, trained))
    if before.agreement is not None and after.agreement is not None:
        drop = evaluation.agreement_drop_between(start, trained)
        if drop is not None:
            return _lost(drop, "points fewer of its answers are the float model's")
        if after.agreement.share >= before.agreement.share:
            return None
        shares = after.agreement.share, before.agreement.share
        return Loss("{:.2%} of its answers are the float model's, {:.2%} before".format(*shares), is_certain=True)
    if before.sqnr is None or after.sqnr is None or after.sqnr.db >= before.sqnr.db:
        return None
    return Loss(f"{after.sqnr} of the output, {before.sqnr.db:.1f} dB before", is_certain=True)


def _lost(drop: PairedDrop, unit: str) -> Loss | None:
    low, high = drop.interval
    told = f"{drop.points:.2f} {unit} [{low:+.2f}, {high:+.2f}] on {drop.total} samples"
    return Loss(told, is_certain=low > 0) if drop.points > 0 else None


def training_warnings(trained: Trained) -> tuple[str, ...]:
    """Return what a user must see: no gain, a loss against the start, or an INT8 model unlike the trained one."""
    stage, lost, warnings = trained.opened.stage, _loss(trained), []
    if not trained.history.is_improved:
        warnings.append(
            f"No epoch was better than the {stage} model on the held-out samples: what is returned is that model, "
            "not a trained one. Try more epochs, --learn-scales or another learning rate."
        )
    if lost is not None and lost.is_certain:
        warnings.append(
            f"On the evaluation samples the trained model is worse than the {stage} model: {lost.what}. The {stage} "
            "model is beside it."
        )
    share = trained.parity.share
    if share is not None and share < _LOWEST_PARITY:
        warnings.append(f"What is deployed is not quite what was trained. {trained.parity}.")
    return tuple(warnings)


def training_notes(trained: Trained) -> tuple[str, ...]:
    """Return what is good to know: what was trained on, and a loss against the start that may be chance."""
    samples, stage, lost = trained.samples, trained.opened.stage, _loss(trained)
    told = f"Trained by {trained.trained_by} on {samples.trained_size} of {samples.size} samples of {samples.name}"
    notes = [f"{told}; the other {samples.held_out_size} chose the epoch."]
    if lost is not None and not lost.is_certain:
        notes.append(
            f"On the evaluation samples the trained model is not better than the {stage} model, within the noise: "
            f"{lost.what}. The {stage} model is beside it."
        )
    return tuple(notes)


def _loss(trained: Trained) -> Loss | None:
    target = trained.opened.target
    return loss_against_start(trained.evaluation, f"{target} {trained.opened.stage}", f"{target} qat")


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
        "trained_by": trained.trained_by,
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
        gained = "more" if drop.points < 0 else "less"
        told = (
            f"{abs(drop.points):.2f} points {gained} than {opened.stage}" if drop.points else f"that of {opened.stage}"
        )
        decided = "" if drop.is_significant or not drop.points else ", which may be chance"
        sentences.append(f"Accuracy after training: {told} [{low:+.2f}, {high:+.2f}] on {drop.total} samples{decided}.")
    sentences.append(f"{trained.parity}.")
    return " ".join(sentences)
