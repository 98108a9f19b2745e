"""`quantlab qat`: train the Q/DQ graph itself, from a float network or from a Q/DQ model."""

from __future__ import annotations

import typer

from quantlab.commands import build_options, options
from quantlab.commands import training_options as training
from quantlab.commands.settings import calibrator_options, default_folder, latency_batches, preprocess_settings
from quantlab.commands.terminal import progress_bars, reporting_errors
from quantlab.commands.training_run import tell_training, train_and_show
from quantlab.ranks import joined

SHORT_HELP = "Train a quantized network so that it loses less."
EPILOG = """\b
Examples:
  quantlab qat
  quantlab qat --model net.onnx --data train/ --eval-data val/ --preprocess imagenet --epochs 5
  quantlab qat --model net.onnx --data train.npz --learn-scales --augment shift.py:make
  quantlab qat --model of-another-tool.onnx --reference net.onnx --data train.npz --loss both
  quantlab qat --model net.onnx --data train.npz --dry-run
  quantlab qat --resume        # after Ctrl-C or a kill: the same command, and this
"""


def qat(
    context: typer.Context,
    model: training.Model = "digits",
    weights: options.TorchWeights = None,
    input_shape: options.InputShapes = None,
    opset: options.Opset = None,
    free_axes: options.FreeAxes = None,
    data: options.Data = "digits",
    eval_data: options.EvalData = None,
    train_data: training.TrainData = None,
    reference: training.Reference = None,
    preprocess: options.Preprocess = None,
    epochs: training.Epochs = 2,
    loss: training.Loss = "distill",
    learn_scales: training.LearnScales = False,
    distance: training.Distance = "auto",
    temperature: training.Temperature = 1.0,
    feature: training.Features = None,
    feature_weight: training.FeatureWeight = 1.0,
    task_share: training.TaskShare = 0.5,
    task_loss: training.TaskLoss = None,
    augment: training.Augment = None,
    optimizer: training.Optimizer = "adamw",
    learning_rate: training.LearningRate = 1e-3,
    scale_rate: training.ScaleRate = 3e-2,
    momentum: training.Momentum = 0.9,
    weight_decay: training.WeightDecay = 0.0,
    warmup: training.WarmUp = 0.1,
    clip_norm: training.ClipNorm = 1.0,
    freeze_ranges: training.FreezeRanges = 0.2,
    ema_decay: training.EmaDecay = 0.0,
    batch_size: training.BatchSize = 32,
    held_out: training.HeldOut = 0.15,
    train_samples: training.TrainSamples = None,
    cache_mb: training.CacheMb = 1024,
    device: training.Device = "auto",
    allow_tf32: training.AllowTf32 = False,
    resume: training.Resume = False,
    calibrator: options.Calibrator = "entropy",
    percentile: options.Percentile = None,
    max_error_ratio: options.MaxErrorRatio = None,
    weight_ranges: options.WeightRanges = "absmax",
    weight_scales: options.WeightScales = "per-channel",
    target: training.Target = "onnxruntime",
    keep_float: options.KeepFloat = None,
    samples: options.Samples = 512,
    eval_samples: options.EvalSamples = None,
    latency_batch: options.LatencyBatches = None,
    no_latency: options.NoLatency = False,
    output: options.Output = None,
    top_k: options.TopK = 1,
    engine: options.Engine = "onnxruntime",
    threads: options.Threads = None,
    seed: training.Seed = 0,
    memory_cap_mb: options.MemoryCap = 512,
    library: options.Libraries = None,
    build: build_options.Build = False,
    runtime: build_options.Runtime = None,
    shape: build_options.Shapes = None,
    compute_capability: build_options.ComputeCapabilities = None,
    plugins: build_options.Plugins = None,
    out: training.Out = None,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Train a quantized network so that it loses less, and compare it with the original and with the start.

    A float network is quantized after training first. With no model and no data: the bundled digits network.
    """
    folder = out or default_folder(model, "qat")
    with reporting_errors(debug=debug, folder=folder, resume=resume), joined(device) as ranks:
        from quantlab.engines.torch_device import import_torch

        import_torch()  # before all else: without it nothing below can be imported
        from quantlab.qat.opening import TrainingInputs
        from quantlab.qat.run import Place
        from quantlab.qat.settings import QatSettings
        from quantlab.recipe import Recipe

        settings = QatSettings(
            epochs=epochs,
            loss=loss,  # type: ignore[arg-type] # checked there, as the two below
            distance=distance,  # type: ignore[arg-type]
            temperature=temperature,
            features=tuple(feature or ()),
            feature_weight=feature_weight,
            task_share=task_share,
            learn_scales=learn_scales,
            optimizer=optimizer,  # type: ignore[arg-type]
            learning_rate=learning_rate,
            scale_rate=scale_rate,
            momentum=momentum,
            weight_decay=weight_decay,
            warmup=warmup,
            clip_norm=clip_norm or None,
            freeze_ranges=freeze_ranges,
            ema_decay=ema_decay,
            batch_size=batch_size,
            held_out=held_out,
            train_samples=train_samples,
            cache_mb=cache_mb,
            device=device,
            allow_tf32=allow_tf32,
        )
        recipe = Recipe.of(
            {
                "model": model,
                "weights": weights,
                "input_shapes": tuple(input_shape or ()),
                "opset": opset,
                "free_axes": free_axes,
                "data": data,
                "eval_data": eval_data,
                "preprocess": preprocess_settings(preprocess),
                "calibrator": calibrator,
                "calibrator_options": calibrator_options(percentile=percentile, max_error_ratio=max_error_ratio),
                "weight_ranges": weight_ranges,
                "weight_scales": weight_scales,
                "targets": (target,),
                "build": build,
                "build_options": build_options.build_options(runtime, shape, compute_capability, plugins),
                "keep_float": tuple(keep_float or ()),
                "samples": samples,
                "eval_samples": eval_samples,
                "latency_batches": latency_batches(latency_batch, is_off=no_latency),
                "output": output,
                "top_k": top_k,
                "engine": engine,
                "device": device,
                "threads": threads,
                "seed": seed,
                "memory_cap_mb": memory_cap_mb,
                "libraries": tuple(map(str, library or ())),
                "qat": {name: spec for name, spec in {"augment": augment, "task_loss": task_loss}.items() if spec},
            }
        )
        inputs = TrainingInputs(train_data=train_data, reference=reference)
        if dry_run:
            if ranks.is_first:
                tell_training(recipe, settings, inputs, progress=progress_bars(quiet=quiet), json=json)
            return
        place = Place(folder, resume, context.obj, ranks)
        train_and_show(recipe, settings, inputs, place=place, quiet=quiet, json=json)
