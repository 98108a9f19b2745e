"""The options that several commands share, so that one word means one thing everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quantlab.commands import completion

MODEL_FORMS = (
    "an .onnx file, `digits` for the bundled network, torchvision:NAME, timm:NAME, transformers:HUB_ID, "
    "transformers:TYPE,key=value,..., or FILE.py:FUNCTION"
)
Model = Annotated[str, typer.Option(metavar="MODEL", help=f"The float model: {MODEL_FORMS}.")]
TorchWeights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="Of a torch model: a state dict (.pth, .safetensors), or `random`; the published ones if not given.",
    ),
]
InputShapes = Annotated[
    list[str] | None,
    typer.Option(
        "--input-shape",
        metavar="SHAPE",
        help="Of a torch model: 1x3x224x224, or NAME:1x128:int64, batch first; repeatable; the usual one if not given.",
    ),
]
Opset = Annotated[
    int | None, typer.Option(metavar="N", help="Of a torch model: the version of ONNX to export; 18 if not given.")
]
FreeAxes = Annotated[
    str | None,
    typer.Option(
        metavar="WHICH",
        autocompletion=completion.free_axes,
        help="Of a torch model: `batch`; `size` for height and width, or length, too; or `none`; batch if not given.",
    ),
]
Data = Annotated[
    str,
    typer.Option(
        metavar="DATA",
        help="Calibration samples: `digits`, a name in calib_data/datasets.toml, an image folder (class per folder), "
        ".npz, .npy, FILE.py:FUNCTION, or `random` (only to try whether a model runs).",
    ),
]
JudgedData = Annotated[str, typer.Option("--data", metavar="DATA", help="Samples to judge on, as for `quantlab ptq`.")]
EvalData = Annotated[
    str | None,
    typer.Option(
        metavar="DATA",
        help="Evaluation samples, as for --data. Without it: the samples of --data that do not calibrate.",
    ),
]
Preprocess = Annotated[
    str | None,
    typer.Option(
        metavar="SETTINGS",
        autocompletion=completion.presets,
        help="How images become inputs: `imagenet`, `unit` or another preset, settings such as "
        "resize=256,crop=224,mean=0.5:0.5:0.5, or a preset with settings behind it.",
    ),
]
Samples = Annotated[int, typer.Option(min=1, metavar="N", help="Samples that calibrate, at most.")]
EvalSamples = Annotated[int | None, typer.Option(min=1, metavar="N", help="Samples to evaluate on, at most.")]
BatchSize = Annotated[
    int, typer.Option(min=1, metavar="N", help="Samples per batch; changes time and memory, not the result.")
]
Calibrator = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        autocompletion=completion.calibrators,
        help="How activation ranges are chosen: minmax, percentile, mse or entropy.",
    ),
]
Percentile = Annotated[
    float | None,
    typer.Option(metavar="PERCENT", help="With percentile: the share of the values to keep; 99.99 if not given."),
]
MaxErrorRatio = Annotated[
    float | None,
    typer.Option(
        metavar="RATIO",
        help="With entropy: the squared error to allow over that of minmax; 2 if not given, inf for no limit.",
    ),
]
WeightRanges = Annotated[
    str,
    typer.Option(
        metavar="METHOD", autocompletion=completion.weight_ranges, help="How weight ranges are chosen: absmax or mse."
    ),
]
WeightScales = Annotated[
    str,
    typer.Option(
        metavar="HOW",
        autocompletion=completion.weight_scales,
        help="For tensorrt: per-channel, or per-tensor, which loses accuracy and fuses more into a layer.",
    ),
]
Targets = Annotated[
    list[str],
    typer.Option(
        "--target",
        metavar="NAME",
        autocompletion=completion.targets,
        help="A runtime to export for: onnxruntime or tensorrt; repeatable.",
    ),
]
KeepFloat = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NODES",
        help="Leave nodes float: a name, a pattern such as 'head.*', or an operator such as Add; repeatable.",
    ),
]
LatencyBatches = Annotated[
    list[int] | None,
    typer.Option("--latency-batch", min=1, metavar="N", help="Time batches of N; repeatable; 1 if not given."),
]
NoLatency = Annotated[bool, typer.Option("--no-latency", help="Measure neither latency nor memory.")]
NoHalf = Annotated[
    bool, typer.Option("--no-fp16", help="Leave out the float model in FP16, which stands beside models for tensorrt.")
]
LayerSamples = Annotated[
    int,
    typer.Option(min=0, metavar="N", help="Samples to measure noise on, layer by layer, for the report; 0 for none."),
]
SensitivitySamples = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        help="Calibration samples, 32 for example, to find the nodes to blame for a loss on: the network runs once per "
        "node; 0 for not at all.",
    ),
]
Output = Annotated[
    str | None, typer.Option(metavar="NAME", help="The output that holds the answer; the first if not given.")
]
TopK = Annotated[
    int, typer.Option(min=1, metavar="K", help="Count an answer as right when the label is among the K largest too.")
]
Engine = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        autocompletion=completion.collectors,
        help="What computes activations while collecting: onnxruntime, or torch, which counts on a GPU.",
    ),
]
Device = Annotated[
    str, typer.Option(metavar="NAME", help="With torch: cpu, cuda, cuda:1, or auto: CUDA where there is one.")
]
Threads = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Threads of the engine; one per physical core if not given.")
]
Seed = Annotated[int, typer.Option(metavar="N", help="Of the pick among images and of the bootstrap.")]
MemoryCap = Annotated[
    int, typer.Option(min=1, metavar="N", help="Megabytes of activations held at once while collecting, at most.")
]
Libraries = Annotated[
    list[Path] | None,
    typer.Option("--library", metavar="FILE", help="A shared library with custom operators; repeatable."),
]
Runtime = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=completion.runtimes,
        help="tensorrt or tensorrt_rtx; the one that is installed if not given.",
    ),
]
Shapes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="INPUT:MIN,USUAL,MAX",
        help="Shapes of an input, such as x:1x3x224x224,8x3x224x224,32x3x224x224; of an input that is itself a shape, "
        "its values.",
    ),
]
SizesData = Annotated[
    str | None, typer.Option("--data", metavar="DATA", help="Samples that tell TensorRT the sizes of free axes.")
]
Workspace = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Megabytes a layer may use; all there are if not given.")
]
OptimizationLevel = Annotated[
    int | None, typer.Option(min=0, max=5, metavar="0..5", help="From a fast build to a fast engine; 3 if not given.")
]
TimingCache = Annotated[
    Path | None, typer.Option(metavar="FILE", help="With tensorrt: spares later builds the timing; made if missing.")
]
ComputeCapabilities = Annotated[
    list[str] | None,
    typer.Option(
        "--compute-capability", metavar="N.N", help="With tensorrt_rtx: a GPU to build for, such as 8.9; repeatable."
    ),
]
Plugins = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE", help="Custom operators, a .so or a .py that is run; repeatable."),
]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the run; runs/MODEL-CALIBRATOR if not given.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Tell plan and cost, from one measured batch, and write nothing.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout, and nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the trace of an error, and what the library logs.")]
