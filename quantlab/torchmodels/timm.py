"""timm:NAME → a network of timm, with the weights and the preprocessing it publishes."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, get_args

from quantlab.data.preprocess import Interpolation, Preprocess
from quantlab.errors import ModelError
from quantlab.torchmodels.name import TorchName
from quantlab.torchmodels.network import Network, built, import_package
from quantlab.torchmodels.settings import InputShape


def build(name: TorchName, *, is_published: bool) -> Network:
    """Return a network.

    Args:
        name: `timm:NAME`, or `timm:NAME.TAG` for one of several published weights, with settings for `create_model`.
        is_published: whether to load the weights that timm publishes, from its cache or the network.

    Raises:
        EngineMissing: timm is not installed.
        ModelError: there is no such network, or its weights cannot be had.
    """
    timm = import_package("timm", model=name.text)
    data = import_package("timm.data", model=name.text)
    if not timm.is_model(name.name.partition(".")[0]) and not name.name.startswith(("hf-hub:", "hf_hub:")):
        close = difflib.get_close_matches(name.name, timm.list_models(), n=3)
        guess = f"; did you mean {' or '.join(close)}?" if close else "; timm.list_models() lists them"
        raise ModelError(f"model {name.text!r}: timm has no network {name.name!r}{guess}")

    def make() -> Any:  # noqa: ANN401 (no types)
        # Their hand-written kernels have no ONNX form; the plain ones compute the same.
        return timm.create_model(name.name, pretrained=is_published, exportable=True, **name.options)

    module = built(name.text, make, is_published=is_published)
    config: Mapping[str, Any] = data.resolve_model_data_config(module)
    shape = InputShape(None, (1, *config["input_size"]))
    weights = "published" if is_published else "random"
    return Network(module, (shape,), weights, preprocess=_preprocess(config))


def _preprocess(config: Mapping[str, Any]) -> Callable[[int, int], Preprocess] | None:
    """Return what timm does to images when it evaluates.

    Source: `transforms_imagenet_eval` of timm 1.0: the shorter side becomes floor(side / crop_pct); with the mode
    `squash` both sides do.
    """
    is_known = config.get("crop_mode", "center") in ("center", "squash")
    if config["input_size"][0] != 3 or not is_known or config["interpolation"] not in get_args(Interpolation):
        return None

    def fitted(height: int, width: int) -> Preprocess:
        sides = tuple(int(side / config["crop_pct"]) for side in (height, width))
        is_squashed = config.get("crop_mode") == "squash"
        return Preprocess(
            resize=(sides[0], sides[1]) if is_squashed else max(sides),
            mean=tuple(config["mean"]),
            std=tuple(config["std"]),
            interpolation=config["interpolation"],
        )

    return fitted
