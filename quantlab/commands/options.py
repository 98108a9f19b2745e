"""The options that several commands share, so that one word means one thing everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[
    str,
    typer.Option(help="An .onnx file, or `digits` for the bundled network.", show_default=True),
]
Data = Annotated[
    str,
    typer.Option(
        help="Calibration samples: `digits`, a name in calib_data/datasets.toml, an image folder (class per folder), "
        ".npz, .npy, FILE.py:FUNCTION, or `random`."
    ),
]
JudgedData = Annotated[str, typer.Option("--data", help="Samples to judge on, as for `quantlab ptq --data`.")]
EvalData = Annotated[
    str | None,
    typer.Option(help="Evaluation samples, as for --data. Without it: the samples of --data that do not calibrate."),
]
Preprocess = Annotated[
    str | None,
    typer.Option(
        help="How images become inputs: `imagenet`, or settings such as "
        "'resize=256,crop=224,mean=0.485:0.456:0.406,std=0.229:0.224:0.225'."
    ),
]
Samples = Annotated[int, typer.Option(min=1, help="How many samples calibrate.")]
EvalSamples = Annotated[int | None, typer.Option(min=1, help="Evaluate on at most so many samples.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Samples per batch; changes time and memory, not the result.")]
Calibrator = Annotated[str, typer.Option(help="How activation ranges are chosen: minmax, percentile, mse or entropy.")]
Percentile = Annotated[float | None, typer.Option(help="With percentile: the share to keep, default 99.99.")]
MaxErrorRatio = Annotated[
    float | None,
    typer.Option(help="With entropy: the squared error to allow over that of minmax, default 2; inf switches it off."),
]
Weights = Annotated[str, typer.Option(help="How weight ranges are chosen: absmax or mse.")]
Targets = Annotated[list[str], typer.Option("--target", help="A runtime to export for; repeat for several.")]
KeepFloat = Annotated[
    list[str] | None,
    typer.Option(help="Leave nodes float: a name, a pattern such as 'head.*', or an operator type; repeatable."),
]
LatencyBatches = Annotated[list[int] | None, typer.Option("--latency-batch", help="Measure at this batch; repeatable.")]
Output = Annotated[str | None, typer.Option(help="The output that holds the answer; default: the first.")]
TopK = Annotated[int, typer.Option(min=1, help="An answer is right when the label is among the k largest.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads of the engine; default: one per physical core.")]
Seed = Annotated[int, typer.Option(help="Of the stratified pick from image folders and of the bootstrap.")]
MemoryCap = Annotated[int, typer.Option(min=1, help="Megabytes of activations held at once while collecting.")]
Libraries = Annotated[
    list[Path] | None, typer.Option("--library", help="A shared library with custom operators; repeatable.")
]
Out = Annotated[Path | None, typer.Option(help="Folder of the run; default: runs/MODEL-CALIBRATOR.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout, and nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bars.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the whole trace of an error, and what the library logs.")]
