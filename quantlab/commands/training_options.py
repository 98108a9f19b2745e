"""The options that only `quantlab qat` has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quantlab.commands import completion, options

Model = Annotated[
    str,
    typer.Option(
        metavar="MODEL",
        help=f"A float model, or an .onnx file with Q/DQ pairs (of any tool): {options.MODEL_FORMS}.",
    ),
]
Reference = Annotated[
    str | None, typer.Option(metavar="MODEL", help="The float .onnx file that a Q/DQ model was made from.")
]
TrainData = Annotated[
    str | None,
    typer.Option(
        metavar="DATA",
        help="Training samples, as for --data. Without it: all of --data where --eval-data is given, else those that "
        "calibrate; of `digits` the train part.",
    ),
]
Epochs = Annotated[int, typer.Option(min=1, metavar="N", help="Passes over the training samples.")]
Loss = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        autocompletion=completion.losses,
        help="distill: be like the float model, needs no labels; task: be right; or both.",
    ),
]
LearnScales = Annotated[bool, typer.Option("--learn-scales", help="Train the scales of Q/DQ pairs too.")]
Distance = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        autocompletion=completion.distances,
        help="How distill compares outputs: kl, mse, or auto: kl where there are classes.",
    ),
]
Temperature = Annotated[float, typer.Option(metavar="T", help="With kl: divides the logits.")]
Features = Annotated[
    list[str] | None,
    typer.Option("--feature", metavar="TENSOR", help="Teach an inner tensor too, by its name; repeatable."),
]
FeatureWeight = Annotated[float, typer.Option(metavar="WEIGHT", help="Of --feature tensors against the outputs.")]
TaskShare = Annotated[float, typer.Option(metavar="SHARE", help="With both: the share of the task's loss.")]
TaskLoss = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.py:FUNCTION",
        help="Returns a function (outputs by name, labels) -> loss, for cross-entropy; labels may then be any numbers.",
    ),
]
Augment = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.py:FUNCTION", help="Returns a function (feeds by name, generator) -> feeds, for every batch."
    ),
]
Optimizer = Annotated[str, typer.Option(metavar="NAME", autocompletion=completion.optimizers, help="adamw or sgd.")]
LearningRate = Annotated[
    float, typer.Option(metavar="RATE", help="Of weights, relative to the root mean square of each tensor.")
]
ScaleRate = Annotated[float, typer.Option(metavar="RATE", help="Of scales, as a share of the scale.")]
WeightDecay = Annotated[float, typer.Option(metavar="RATE", help="On matrices and kernels only.")]
Momentum = Annotated[float, typer.Option(metavar="SHARE", help="Of sgd.")]
WarmUp = Annotated[
    float,
    typer.Option(metavar="SHARE", help="The first share of the training, in which the rates rise; then they fall."),
]
ClipNorm = Annotated[
    float, typer.Option(min=0, metavar="NORM", help="The largest norm of the whole gradient; 0 for no limit.")
]
FreezeRanges = Annotated[
    float, typer.Option(metavar="SHARE", help="The last share of the training, in which scales no longer learn.")
]
EmaDecay = Annotated[
    float, typer.Option(metavar="DECAY", help="Judge and keep a moving average of the weights; 0 for none.")
]
BatchSize = Annotated[int, typer.Option(min=1, metavar="N", help="Samples per training step.")]
HeldOut = Annotated[
    float, typer.Option(metavar="SHARE", help="The share of the training samples that chooses the epoch.")
]
TrainSamples = Annotated[
    int | None, typer.Option(min=2, metavar="N", help="Samples to train on and to hold out, at most.")
]
CacheMb = Annotated[
    int, typer.Option(min=1, metavar="N", help="Megabytes of training samples in memory; more are read every epoch.")
]
Device = Annotated[str, typer.Option(metavar="NAME", help="cpu, cuda, cuda:1, or auto: CUDA where there is one.")]
AllowTf32 = Annotated[bool, typer.Option("--allow-tf32", help="Let CUDA round products to TF32: faster, less exact.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last epoch that an interrupted run left.")]
Target = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        autocompletion=completion.targets,
        help="The runtime to export for: onnxruntime or tensorrt. A Q/DQ model that says which it is for stays so.",
    ),
]
Seed = Annotated[
    int, typer.Option(metavar="N", help="Of the order of the samples, the pick among images and the bootstrap.")
]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the run; runs/MODEL-qat if not given.")]
