"""torchvision:NAME → a network of torchvision's registry, with the weights and the preprocessing it publishes."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from quantlab.data.preprocess import Preprocess
from quantlab.errors import ModelError
from quantlab.torchmodels.name import TorchName
from quantlab.torchmodels.network import Network, built, import_package
from quantlab.torchmodels.settings import InputShape

_SIDE = 224


def build(name: TorchName, *, is_published: bool) -> Network:
    """Return a network.

    Args:
        name: `torchvision:NAME`, with settings for the builder.
        is_published: whether to load the weights that torchvision publishes, from its cache or the network.

    Raises:
        EngineMissing: torchvision is not installed.
        ModelError: there is no such network, or its weights cannot be had.
    """
    models = import_package("torchvision", model=name.text).models
    known = models.list_models()
    if name.name not in known:
        close = difflib.get_close_matches(name.name, known, n=3)
        guess = f"; did you mean {' or '.join(close)}?" if close else "; torchvision.models.list_models() lists them"
        raise ModelError(f"model {name.text!r}: torchvision has no network {name.name!r}{guess}")
    published = models.get_model_weights(name.name).DEFAULT if list(models.get_model_weights(name.name)) else None
    if is_published and published is None:
        raise ModelError(f"model {name.text!r}: torchvision publishes no weights for it; give --weights FILE or random")
    options = {**_without_backbone(name.name), **name.options}

    def make() -> Any:  # noqa: ANN401 (no types)
        return models.get_model(name.name, weights=published if is_published else None, **options)

    module = built(name.text, make, is_published=is_published)
    transforms = None if published is None else published.transforms()
    crop = getattr(transforms, "crop_size", None) or getattr(transforms, "resize_size", None) or [_SIDE]
    shape = InputShape(None, (1, 3, crop[0], crop[-1]))
    return Network(module, (shape,), "published" if is_published else "random", preprocess=_preprocess(transforms))


def _without_backbone(name: str) -> dict[str, Any]:
    """Keep segmentation networks from fetching a backbone for weights that come from elsewhere."""
    segments = name.startswith(("fcn_", "deeplabv3_", "lraspp_"))
    return {"weights_backbone": None} if segments else {}


def _preprocess(transforms: Any) -> Callable[[int, int], Preprocess] | None:  # noqa: ANN401 (no types)
    """Return what torchvision does to images; the resized side is that of the published size, in proportion."""
    if transforms is None or not hasattr(transforms, "mean"):
        return None
    resize = transforms.resize_size[0] if transforms.resize_size else None
    crop = (getattr(transforms, "crop_size", None) or transforms.resize_size or [resize])[0]

    def fitted(height: int, width: int) -> Preprocess:
        side = None if resize is None or crop is None else round(resize * max(height, width) / crop)
        return Preprocess(
            resize=side,
            mean=tuple(transforms.mean),
            std=tuple(transforms.std),
            interpolation=str(getattr(transforms.interpolation, "value", transforms.interpolation)),  # type: ignore[arg-type] # checked there
        )

    return fitted
