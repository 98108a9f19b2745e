"""`quantlab cache`: TensorRT calibration caches in and out."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quantlab.commands import completion, options
from quantlab.commands.settings import default_folder, torch_settings
from quantlab.commands.terminal import print_result, progress_bars, reporting_errors
from quantlab.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from quantlab.graph.model import Model
    from quantlab.interop.import_cache import CacheImport
    from quantlab.interop.pytorch_quantization import AmaxImport
    from quantlab.run_folder import RunFolder

_IMPORT_EPILOG = """\b
Examples:
  quantlab cache import calibration.cache --model net.onnx --out runs/net-cache
  quantlab cache import calibrated.pth --model net.onnx
"""
_EXPORT_EPILOG = """\b
Examples:
  quantlab cache export runs/net-entropy calibration.cache --trt-version 10.3.0
  quantlab cache export net.int8.onnx calibration.cache --algorithm minmax
"""

# What torch.save writes begins as a zip archive or, before torch 1.6, as a pickle. Names do not tell: both kinds of
# file are called *.bin.
_CHECKPOINTS = (b"PK", b"\x80")

app = typer.Typer(no_args_is_help=True, help="Read and write TensorRT calibration caches.", rich_markup_mode=None)

Cache = Annotated[Path, typer.Argument(help="A calibration cache of TensorRT, or a .pth of pytorch-quantization.")]
FloatModel = Annotated[str, typer.Option("--model", help="The float model that was calibrated, as for ptq.")]
Target = Annotated[
    str, typer.Option(metavar="NAME", autocompletion=completion.targets, help="The runtime to quantize for.")
]
Out = Annotated[Path | None, typer.Option(help="Folder to write; default: runs/MODEL-cache.")]
Source = Annotated[Path, typer.Argument(help="The folder of a run, or a quantized .onnx file.")]
Written = Annotated[Path, typer.Argument(help="The cache to write.")]
Version = Annotated[str, typer.Option("--trt-version", "--version", help="The TensorRT that will read the cache.")]
Algorithm = Annotated[
    str,
    typer.Option(
        autocompletion=completion.algorithms, help="Which calibrator class will read the cache: entropy2 or minmax."
    ),
]


@app.command("import", epilog=_IMPORT_EPILOG)
def import_(
    cache: Cache,
    model: FloatModel,
    weights: options.TorchWeights = None,
    input_shape: options.InputShapes = None,
    opset: options.Opset = None,
    free_axes: options.FreeAxes = None,
    target: Target = "tensorrt",
    keep_float: options.KeepFloat = None,
    out: Out = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Quantize a float model with the scales of a cache: no data, no GPU, and TensorRT 11 reads the result."""
    with reporting_errors(debug=debug):
        from quantlab.opening import check_torch_settings, open_float_model
        from quantlab.run_folder import RunFolder

        torch = torch_settings(weights, input_shape, opset, free_axes)
        check_torch_settings([model], torch)
        folder = RunFolder(out or default_folder(model, "cache"))
        with progress_bars(quiet=quiet)(f"importing {cache}", 1):
            imported = _imported(cache, open_float_model(model, torch), target, tuple(keep_float or ()))
            report = _to_json(imported, folder.int8_model(target))
            _write(folder, imported, target, report)
        print_result(report, lambda: f"{imported}\n{folder.int8_model(target)}", as_json=json)


@app.command("export", epilog=_EXPORT_EPILOG)
def export(
    source: Source,
    cache: Written,
    version: Version = "8.6.1",
    algorithm: Algorithm = "entropy2",
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Write the activation scales of a run or a quantized model as a cache, for TensorRT 8 and 10."""
    with reporting_errors(debug=debug):
        from quantlab.interop.calibration_cache import write_cache
        from quantlab.interop.export_cache import export_cache

        with progress_bars(quiet=quiet)(f"exporting {source}", 1):
            exported = export_cache(_quantized_model(source), version=version, algorithm=algorithm)
            write_cache(exported.cache, cache)
        report = {
            "cache": str(cache),
            "header": exported.cache.header,
            "scales": {name: float(scale) for name, scale in exported.cache.scales.items()},
            "covered": exported.covered,
            "left_out": exported.left_out,
        }
        print_result(report, lambda: f"{exported}\n{cache}", as_json=json)


def _imported(cache: Path, model: Model, target: str, keep_float: tuple[str, ...]) -> CacheImport | AmaxImport:
    from quantlab.interop.amax_table import read_amax
    from quantlab.interop.calibration_cache import read_cache
    from quantlab.interop.import_cache import import_cache
    from quantlab.interop.pytorch_quantization import import_amax

    if cache.is_file() and cache.read_bytes()[:2].startswith(_CHECKPOINTS):
        return import_amax(read_amax(cache), model, target=target, keep_float=keep_float)
    return import_cache(read_cache(cache), model, target=target, keep_float=keep_float)


def _write(folder: RunFolder, imported: CacheImport | AmaxImport, target: str, report: Mapping[str, object]) -> None:
    folder.begin()
    folder.write_plans({target: imported.migration.plan})
    folder.write_models(imported.migration.model, {target: imported.migration.int8_model})
    folder.write_text("import.json", json_module.dumps(report, indent=1))
    folder.publish()


def _quantized_model(source: Path) -> Model:
    """Return a run's model for TensorRT, else one of its others; or the model that is named itself."""
    from quantlab.opening import open_model

    if not source.is_dir():
        return open_model(str(source))
    models = sorted(source.glob("model.*.int8.onnx"), key=lambda path: ("tensorrt" not in path.name, path.name))
    if not models:
        raise RunError(f"{source}: no model.*.int8.onnx is in this folder; give the folder that `quantlab ptq` wrote")
    return open_model(str(models[0]))


def _to_json(imported: CacheImport | AmaxImport, path: Path) -> dict[str, object]:
    return {
        "model": str(path),
        "used": imported.used,
        "unknown": imported.unknown,
        "unusable": imported.unusable,
        "missing": imported.missing,
        "kept_float": dict(imported.migration.kept_float),
        "joined": {owner: list(others) for owner, others in imported.migration.joined.items()},
    }
