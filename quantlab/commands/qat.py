"""`quantlab qat`: train the Q/DQ graph itself, from a float network or from a Q/DQ model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quantlab.commands import options
from quantlab.commands.settings import calibrator_options, default_folder, latency_batches, preprocess_settings
from quantlab.commands.terminal import print_result, progress_bars, reporting_errors

if TYPE_CHECKING:
    from quantlab.qat.history import EpochRecord

SHORT_HELP = "Train a quantized network so that it loses less."
EPILOG = """\b
Examples:
  quantlab qat
  quantlab qat --model net.onnx --data photos/ --preprocess imagenet --learn-scales --epochs 5
  quantlab qat --model other-tools.qdq.onnx --reference net.onnx --data train.npz --loss both
"""

Model = Annotated[
    str,
    typer.Option(
        metavar="MODEL",
        help="A float .onnx file, one with Q/DQ pairs (of any tool), or `digits` for the bundled network.",
    ),
]
Reference = Annotated[
    str | None, typer.Option(metavar="MODEL", help="The float .onnx file that a Q/DQ model was made from.")
]
TrainData = Annotated[
    str | None,
    typer.Option(
        metavar="DATA",
        help="Training samples, as for --data. Without it: those that calibrate; of `digits` the train part.",
    ),
]
Epochs = Annotated[int, typer.Option(min=1, metavar="N", help="Passes over the training samples.")]
Loss = Annotated[
    str,
    typer.Option(metavar="NAME", help="distill: be like the float model, needs no labels; task: be right; or both."),
]
LearnScales = Annotated[bool, typer.Option("--learn-scales", help="Train the scales of Q/DQ pairs too.")]
Distance = Annotated[
    str,
    typer.Option(metavar="NAME", help="How distill compares outputs: kl, mse, or auto: kl where there are classes."),
]
Temperature = Annotated[float, typer.Option(metavar="T", help="With kl: divides the logits.")]
Features = Annotated[
    list[str] | None,
    typer.Option("--feature", metavar="TENSOR", help="Teach an inner tensor too, by its name; repeatable."),
]
TaskShare = Annotated[float, typer.Option(metavar="SHARE", help="With both: the share of the task's loss.")]
TaskLoss = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.py:FUNCTION", help="Returns a function (outputs by name, labels) -> loss, for cross-entropy."
    ),
]
Augment = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.py:FUNCTION", help="Returns a function (feeds by name, generator) -> feeds, for every batch."
    ),
]
Optimizer = Annotated[str, typer.Option(metavar="NAME", help="adamw or sgd.")]
LearningRate = Annotated[
    float, typer.Option(metavar="RATE", help="Of weights, relative to the root mean square of each tensor.")
]
ScaleRate = Annotated[float, typer.Option(metavar="RATE", help="Of scales, as a share of the scale.")]
WeightDecay = Annotated[float, typer.Option(metavar="RATE", help="On matrices and kernels only.")]
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
Device = Annotated[str, typer.Option(metavar="NAME", help="cpu, cuda, cuda:1, or auto: CUDA where there is one.")]
AllowTf32 = Annotated[bool, typer.Option("--allow-tf32", help="Let CUDA round products to TF32: faster, less exact.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last epoch that an interrupted run left.")]
Target = Annotated[str, typer.Option(metavar="NAME", help="The runtime to export for: onnxruntime or tensorrt.")]
Seed = Annotated[
    int, typer.Option(metavar="N", help="Of the order of the samples, the pick among images and the bootstrap.")
]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the run; runs/MODEL-qat if not given.")]


def qat(
    context: typer.Context,
    model: Model = "digits",
    data: options.Data = "digits",
    eval_data: options.EvalData = None,
    train_data: TrainData = None,
    reference: Reference = None,
    preprocess: options.Preprocess = None,
    epochs: Epochs = 2,
    loss: Loss = "distill",
    learn_scales: LearnScales = False,
    distance: Distance = "auto",
    temperature: Temperature = 1.0,
    feature: Features = None,
    task_share: TaskShare = 0.5,
    task_loss: TaskLoss = None,
    augment: Augment = None,
    optimizer: Optimizer = "adamw",
    learning_rate: LearningRate = 1e-3,
    scale_rate: ScaleRate = 3e-2,
    weight_decay: WeightDecay = 0.0,
    freeze_ranges: FreezeRanges = 0.2,
    ema_decay: EmaDecay = 0.0,
    batch_size: BatchSize = 32,
    held_out: HeldOut = 0.15,
    train_samples: TrainSamples = None,
    device: Device = "auto",
    allow_tf32: AllowTf32 = False,
    resume: Resume = False,
    calibrator: options.Calibrator = "entropy",
    percentile: options.Percentile = None,
    max_error_ratio: options.MaxErrorRatio = None,
    weight_ranges: options.WeightRanges = "absmax",
    weight_scales: options.WeightScales = "per-channel",
    target: Target = "onnxruntime",
    keep_float: options.KeepFloat = None,
    samples: options.Samples = 512,
    eval_samples: options.EvalSamples = None,
    latency_batch: options.LatencyBatches = None,
    no_latency: options.NoLatency = False,
    output: options.Output = None,
    top_k: options.TopK = 1,
    threads: options.Threads = None,
    seed: Seed = 0,
    memory_cap_mb: options.MemoryCap = 512,
    library: options.Libraries = None,
    out: Out = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Train a quantized network so that it loses less, and compare it with the original and with the start.

    A float network is quantized after training first. With no model and no data: the bundled digits network.
    """
    folder = out or default_folder(model, "qat")
    with reporting_errors(debug=debug, folder=folder):
        from quantlab.engines.torch_device import import_torch

        import_torch()  # before all else: without it nothing below can be imported
        from quantlab.qat.hooks import Hooks
        from quantlab.qat.opening import TrainingInputs
        from quantlab.qat.run import Place, train_recipe
        from quantlab.qat.settings import QatSettings
        from quantlab.recipe import Recipe
        from quantlab.report.to_terminal import render

        settings = QatSettings(
            epochs=epochs,
            loss=loss,  # type: ignore[arg-type] # checked there, as the two below
            distance=distance,  # type: ignore[arg-type]
            temperature=temperature,
            features=tuple(feature or ()),
            task_share=task_share,
            learn_scales=learn_scales,
            optimizer=optimizer,  # type: ignore[arg-type]
            learning_rate=learning_rate,
            scale_rate=scale_rate,
            weight_decay=weight_decay,
            freeze_ranges=freeze_ranges,
            ema_decay=ema_decay,
            batch_size=batch_size,
            held_out=held_out,
            train_samples=train_samples,
            device=device,
            allow_tf32=allow_tf32,
        )
        recipe = Recipe.of(
            {
                "model": model,
                "data": data,
                "eval_data": eval_data,
                "preprocess": preprocess_settings(preprocess),
                "calibrator": calibrator,
                "calibrator_options": calibrator_options(percentile=percentile, max_error_ratio=max_error_ratio),
                "weight_ranges": weight_ranges,
                "weight_scales": weight_scales,
                "targets": (target,),
                "keep_float": tuple(keep_float or ()),
                "samples": samples,
                "eval_samples": eval_samples,
                "latency_batches": latency_batches(latency_batch, is_off=no_latency),
                "output": output,
                "top_k": top_k,
                "threads": threads,
                "seed": seed,
                "memory_cap_mb": memory_cap_mb,
                "libraries": tuple(map(str, library or ())),
            }
        )
        hooks = Hooks(
            augment=_function(augment),
            task_loss=_function(task_loss),
            on_epoch=None if quiet or json else _tell,
            progress=progress_bars(quiet=quiet),
        )
        inputs = TrainingInputs(train_data=train_data, reference=reference)
        result = train_recipe(recipe, settings, inputs, hooks=hooks, place=Place(folder, resume, context.obj))
        print_result(result.report.content, lambda: render(result.report, folder=folder), as_json=json)


def _tell(record: EpochRecord) -> None:
    typer.echo(str(record), err=True)


def _function(spec: str | None) -> Any:  # noqa: ANN401 (a user's function, of one signature or another)
    """Return what a FILE.py:FUNCTION returns: a function."""
    if spec is None:
        return None
    from quantlab.data.python_file import is_python_function, load_function
    from quantlab.errors import DataError

    if not is_python_function(spec):
        raise DataError(f"{spec!r}: give FILE.py:FUNCTION, where FUNCTION returns what is to be called")
    made = load_function(spec)()
    if not callable(made):
        raise DataError(f"{spec}: it returned a {type(made).__name__}, not a function to call")
    return made
