"""How a Q/DQ graph is trained, as data: validated once, saved as `qat.toml`. Needs no torch."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from quantlab.errors import RecipeError
from quantlab.recipe import check_name

Loss = Literal["distill", "task", "both"]
Distance = Literal["auto", "kl", "mse"]
OptimizerName = Literal["adamw", "sgd"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QatSettings:
    """How to train; see `quantlab qat --help` for the same words.

    Rates are relative, so that one default suits weights of any size, also where one channel's are a thousand times
    another's: a step moves a weight tensor by about `learning_rate` times its root mean square, and a scale by about
    the factor 1 + `scale_rate`.

    Attributes:
        epochs: passes over the training samples, at least 1.
        loss: `distill` (be like the float model; needs no labels), `task` (be right) or `both`.
        distance: what `distill` measures on an output: `kl` between class probabilities, `mse` over the float model's
            mean square, or `auto` for kl where the output holds classes and mse where it does not.
        temperature: divides the logits before kl, above 0.
        features: names of inner tensors that are to be like the float model's too, by mse.
        feature_weight: of the mean of these against the outputs', at least 0.
        task_share: with `both`, the share of the task's loss, 0 to 1.
        learn_scales: whether the scales of Q/DQ pairs learn too.
        optimizer: `adamw` or `sgd` (with momentum).
        learning_rate: of the weights at its highest, relative to a tensor's root mean square.
        scale_rate: of the scales at its highest, as a share of the scale.
        momentum: of sgd, 0 to below 1.
        weight_decay: decoupled with adamw; on matrices and kernels only, never on biases, vectors or scales.
        warmup: the share of the training in which the rate rises; it falls along a cosine afterwards.
        freeze_ranges: the share of the training, at its end, in which scales no longer learn.
        ema_decay: of the moving average of the weights, which is then what is judged and kept; 0 for none.
        clip_norm: the largest norm of the whole gradient, or None for no limit.
        batch_size: samples per step.
        held_out: the share of the training samples that choose the epoch and are not trained on.
        train_samples: the most samples to use, held-out ones included, or None for all.
        cache_mb: the most megabytes of samples held in memory; beyond, samples are shuffled a portion at a time.
        device: `cpu`, `cuda`, `cuda:1`, or `auto` for CUDA where there is one.
        allow_tf32: whether CUDA may round the factors of products to TF32.
    """

    epochs: int = 2
    loss: Loss = "distill"
    distance: Distance = "auto"
    temperature: float = 1.0
    features: tuple[str, ...] = ()
    feature_weight: float = 1.0
    task_share: float = 0.5
    learn_scales: bool = False
    optimizer: OptimizerName = "adamw"
    learning_rate: float = 1e-3
    scale_rate: float = 3e-2
    momentum: float = 0.9
    weight_decay: float = 0.0
    warmup: float = 0.1
    freeze_ranges: float = 0.2
    ema_decay: float = 0.0
    clip_norm: float | None = 1.0
    batch_size: int = 32
    held_out: float = 0.15
    train_samples: int | None = None
    cache_mb: int = 1024
    device: str = "auto"
    allow_tf32: bool = False

    def __post_init__(self) -> None:
        check_name("loss", self.loss, get_args(Loss))
        check_name("distance", self.distance, get_args(Distance))
        check_name("optimizer", self.optimizer, get_args(OptimizerName))
        for name in ("epochs", "batch_size", "cache_mb"):
            self._check(name, at_least=1)
        for name in ("temperature", "learning_rate", "scale_rate"):
            self._check(name, above=0)
        for name in ("feature_weight", "weight_decay"):
            self._check(name, at_least=0)
        for name in ("task_share", "warmup", "freeze_ranges"):
            self._check(name, at_least=0, at_most=1)
        for name in ("momentum", "ema_decay"):
            self._check(name, at_least=0, below=1)
        self._check("held_out", above=0, below=1)
        if self.clip_norm is not None:
            self._check("clip_norm", above=0)
        if self.train_samples is not None:
            self._check("train_samples", at_least=2)

    @property
    def needs_teacher(self) -> bool:
        """Whether a step needs the float model's outputs."""
        return self.loss != "task" or bool(self.features)

    def to_plain(self) -> dict[str, Any]:
        """Return the settings by name, as JSON holds them."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def to_toml(self) -> str:
        """Return the settings as TOML text; those that are None are left out."""
        import tomli_w

        return tomli_w.dumps({name: value for name, value in self.to_plain().items() if value is not None})

    def _check(self, name: str, **limits: float) -> None:
        value = getattr(self, name)
        is_inside = {
            "above": lambda limit: value > limit,
            "at_least": lambda limit: value >= limit,
            "below": lambda limit: value < limit,
            "at_most": lambda limit: value <= limit,
        }
        if not math.isfinite(value) or not all(is_inside[kind](limit) for kind, limit in limits.items()):
            words = " and ".join(f"{kind.replace('_', ' ')} {limit:g}" for kind, limit in limits.items())
            raise RecipeError(f"{name}: {value} is not possible; it must be {words}")
