"""transformers:HUB_ID or transformers:MODEL_TYPE → a network of Hugging Face's transformers with a head.

A hub id (or a folder that `save_pretrained` wrote, as `./folder`) brings its head, its weights and its preprocessing.
A model type is an architecture without weights; its head is the first of `HEADS` that it can have, or the one named:
`head=SegformerForSemanticSegmentation`, or `head=SemanticSegmentation`. Attention is computed step by step (`eager`):
the fused operator does not export from all networks. Code from the hub is never run.
"""

from __future__ import annotations

import contextlib
import difflib
import json
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantlab.data.preprocess import Preprocess
from quantlab.errors import ModelError
from quantlab.graph.load import first_line
from quantlab.torchmodels.name import TorchName
from quantlab.torchmodels.network import Network, built, import_package
from quantlab.torchmodels.settings import InputShape

if TYPE_CHECKING:
    from torch import Tensor

HEADS = (
    *("ImageClassification", "SemanticSegmentation", "ObjectDetection", "DepthEstimation", "SequenceClassification"),
    *("TokenClassification", "QuestionAnswering", "MaskedLM"),
)
"""The heads a model type is given, in this order of preference."""

# Where the first of HEADS is not what the architecture was made for.
_USUAL_HEADS = {"segformer": "SemanticSegmentation"}
_SIDE, _LENGTH = 224, 128
# What a head returns besides its answers.
_INSIDES = frozenset({"loss", "hidden_states", "attentions", "past_key_values", "last_hidden_state", "pooler_output"})
_HEAD = "head"
_FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}  # Pillow's numbers


def build(name: TorchName, *, is_published: bool) -> Network:
    """Return a network.

    Args:
        name: a hub id or a model type, with settings for its configuration.
        is_published: whether to load the weights of the hub id; a model type has none, and is drawn at random.

    Raises:
        EngineMissing: transformers is not installed.
        ModelError: there is no such model or head, or it cannot be fetched.
    """
    transformers = import_package("transformers", model=name.text, extra="transformers")
    options = {key: value for key, value in name.options.items() if key != _HEAD}
    if _is_type(name):
        config = built(name.text, lambda: transformers.AutoConfig.for_model(name.name, **options), is_published=False)
        _check_options(name, config, options)
        return _drawn(name, transformers, config)
    config = _fetched_config(name, transformers, options)
    if not is_published:
        return _drawn(name, transformers, config)
    head = _head(name, transformers, config)

    def load() -> Any:  # noqa: ANN401 (no types)
        with _quiet(transformers):
            return head.from_pretrained(
                name.name, config=config, attn_implementation="eager", weights_only=True, trust_remote_code=False
            )

    module = built(name.text, load, is_published=True)
    preprocess = _preprocess(_processor_settings(name.name))
    return Network(module, _inputs(module), "published", preprocess=preprocess, answers=_answers)


def _is_type(name: TorchName) -> bool:
    """Whether a name is a model type; one that is no known type and looks like no hub id is a mistyped type."""
    known = import_module("transformers.models.auto.configuration_auto").CONFIG_MAPPING_NAMES
    if name.name in known:
        return True
    if "/" in name.name or Path(name.name).is_dir() or (not name.options and "-" in name.name):
        return False
    close = difflib.get_close_matches(name.name, known, n=3)
    guess = f"; did you mean {' or '.join(close)}?" if close else ""
    raise ModelError(
        f"model {name.text!r}: transformers knows no model type {name.name!r}{guess}; a hub id is written OWNER/NAME, "
        "a folder ./NAME"
    )


def _check_options(name: TorchName, config: Any, options: Mapping[str, Any]) -> None:  # noqa: ANN401 (no types)
    """Refuse settings that the configuration does not know: it would keep them, and nothing would read them."""
    usual = type(config)()
    known = {*usual.to_dict(), *vars(usual), *config.attribute_map, "num_labels"}
    for key in options:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=3)
            guess = f"did you mean {' or '.join(close)}?" if close else f"see {type(config).__name__}"
            raise ModelError(f"model {name.text!r}: {type(config).__name__} has no setting {key!r}; {guess}")


def _drawn(name: TorchName, transformers: Any, config: Any) -> Network:  # noqa: ANN401 (no types)
    head = _head(name, transformers, config)
    make = lambda: head._from_config(config, attn_implementation="eager")  # noqa: E731 (as `from_config` does)
    module = built(name.text, make, is_published=False)
    draw_anew(module)

    def rename(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        with _quiet(transformers):
            return _renamed(state, head, config)

    return Network(module, _inputs(module), "random", answers=_answers, rename=rename)


def _renamed(state: Mapping[str, Tensor], head: Any, config: Any) -> Mapping[str, Tensor]:  # noqa: ANN401 (no types)
    """Return a state dict under the names of a head; files of older versions have others, which transformers knows.

    What it finds unexpected, missing or of another shape is so in the result.
    """
    import torch

    filled, found = head.from_pretrained(
        None, config=config, state_dict=dict(state), output_loading_info=True, ignore_mismatched_sizes=True
    )
    mismatched = {name: torch.empty(shape, device="meta") for name, shape, _ in found["mismatched_keys"]}
    absent = {*found["missing_keys"], *mismatched}
    known = {name: tensor for name, tensor in filled.state_dict().items() if name not in absent}
    return {**known, **mismatched, **{name: state[name] for name in found["unexpected_keys"] if name in state}}


@contextlib.contextmanager
def _quiet(transformers: Any) -> Iterator[None]:  # noqa: ANN401 (no types)
    """Keep the loading bars and tables of transformers from the user; what is wrong comes as an error."""
    logs = transformers.utils.logging
    verbosity, has_bars = logs.get_verbosity(), logs.is_progress_bar_enabled()
    logs.set_verbosity_error()
    logs.disable_progress_bar()
    try:
        yield
    finally:
        logs.set_verbosity(verbosity)
        if has_bars:
            logs.enable_progress_bar()


def draw_anew(module: Any) -> None:  # noqa: ANN401 (no types)
    """Draw weights from N(0, 2 / fan_in), and reset normalizations, so that signals keep their size.

    Those of transformers, meant for the first steps of a training, let them sink below what float32 can hold: the
    batch normalizations of EfficientNet alone scale by about 0.02, and thirty of them lead to 1e-42.
    """
    import torch

    normalizations = (torch.nn.BatchNorm2d, torch.nn.LayerNorm, torch.nn.GroupNorm)
    for part in module.modules():
        if isinstance(part, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(part.weight)
        elif isinstance(part, normalizations):
            part.reset_parameters()


def _fetched_config(name: TorchName, transformers: Any, options: Mapping[str, Any]) -> Any:  # noqa: ANN401 (no types)
    def load() -> Any:  # noqa: ANN401 (no types)
        return transformers.AutoConfig.from_pretrained(name.name, trust_remote_code=False, **options)

    if name.name.startswith(("./", "../", "/")) and not Path(name.name).is_dir():
        raise ModelError(f"model {name.text!r}: there is no folder {name.name}; give one that save_pretrained wrote")
    try:
        config = load()
    except Exception as error:  # hub clients raise errors of their own
        raise ModelError(
            f"model {name.text!r}: its configuration cannot be had ({type(error).__name__}: {first_line(error)}); "
            "check OWNER/NAME; without a network give a model type, or ./FOLDER that save_pretrained wrote"
        ) from error
    _check_options(name, config, options)
    return config


def _head(name: TorchName, transformers: Any, config: Any) -> Any:  # noqa: ANN401 (no types)
    """Return the class of the network: the head that is asked for, that was trained, or that is usual."""
    asked = name.options.get(_HEAD)
    if asked is not None:
        return _named_head(name, transformers, config, str(asked))
    for architecture in getattr(config, "architectures", None) or ():
        if hasattr(transformers, architecture):
            return getattr(transformers, architecture)
    usual = _USUAL_HEADS.get(config.model_type)
    for short in (*((usual,) if usual else ()), *HEADS):
        if (found := _auto_head(transformers, short, config)) is not None:
            return found
    raise ModelError(f"model {name.text!r}: it has none of the heads {', '.join(HEADS)}; name one with head=CLASS")


def _named_head(name: TorchName, transformers: Any, config: Any, asked: str) -> Any:  # noqa: ANN401 (no types)
    found = _auto_head(transformers, asked, config) or getattr(transformers, asked, None)
    if found is not None and getattr(found, "config_class", None) is type(config):
        return found
    able = [short for short in HEADS if _auto_head(transformers, short, config) is not None]
    raise ModelError(
        f"model {name.text!r}: {config.model_type} has no head {asked!r}; it has "
        f"{', '.join(able) or 'none known here'}, and the classes of transformers made for it"
    )


def _auto_head(transformers: Any, short: str, config: Any) -> Any:  # noqa: ANN401 (no types)
    """Return the class that a head's short name stands for with this configuration, or None."""
    auto = getattr(transformers, f"AutoModelFor{short}", None)
    mapping = getattr(auto, "_model_mapping", {})
    found = mapping[type(config)] if type(config) in mapping else None  # noqa: SIM401 - its `get` raises
    return found[0] if isinstance(found, tuple) else found


def _inputs(module: Any) -> tuple[InputShape, ...]:  # noqa: ANN401 (no types)
    """Return what the network is called with: an image, or the numbers and the mask of a text."""
    config, main = module.config, module.main_input_name
    if main == "pixel_values":
        side = getattr(config, "image_size", None) or _SIDE
        height, width = side if isinstance(side, (list, tuple)) else (side, side)
        return (InputShape(main, (1, getattr(config, "num_channels", 3), height, width)),)
    if main == "input_ids":
        length = min(_LENGTH, getattr(config, "max_position_embeddings", _LENGTH))
        return tuple(InputShape(each, (1, length), "int64") for each in (main, "attention_mask"))
    return ()


def _answers(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a head's output holds besides the network's insides."""
    import torch

    kept = {key: value for key, value in outputs.items() if isinstance(value, torch.Tensor)}
    return {key: value for key, value in kept.items() if key not in _INSIDES} or kept


def _processor_settings(name: str) -> Mapping[str, Any]:
    """Return what is written beside the weights about preprocessing; empty where nothing is."""
    path = import_module("transformers.utils").cached_file(
        name, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False
    )
    if path is None:
        return {}
    settings = json.loads(Path(path).read_text(encoding="utf-8"))
    return settings if isinstance(settings, dict) else {}


def _preprocess(settings: Mapping[str, Any]) -> Callable[[int, int], Preprocess] | None:
    """Return what an image processor of transformers does, where it resizes, crops, scales and normalizes only."""
    if not settings.get("do_resize", True) or "size" not in settings:
        return None
    size, crop = settings["size"], settings.get("crop_size")
    size = {"shortest_edge": size} if isinstance(size, int) else size
    cropped = crop["height"] if isinstance(crop, Mapping) else crop
    has_crop, has_mean = settings.get("do_center_crop", False), settings.get("do_normalize", True)

    def fitted(height: int, width: int) -> Preprocess:
        shorter = size.get("shortest_edge")
        share = shorter / cropped if has_crop and shorter and cropped else None
        return Preprocess(
            resize=(height, width) if share is None else round(share * max(height, width)),
            mean=tuple(settings.get("image_mean") or (0.0,)) if has_mean else (0.0,),
            std=tuple(settings.get("image_std") or (1.0,)) if has_mean else (1.0,),
            scale=settings.get("rescale_factor", 1 / 255) if settings.get("do_rescale", True) else 1.0,
            interpolation=_FILTERS.get(settings.get("resample", 2), "bilinear"),  # type: ignore[arg-type] # checked there
        )

    return fitted
