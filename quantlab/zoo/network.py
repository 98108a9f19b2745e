"""The bundled network: a small classifier of 32×32 digits that holds the structures quantization stumbles over.

It is drawn so that nearly all its arithmetic is dense 3×3 convolution with 48 and 64 channels, which integer kernels
speed up; depthwise convolution and squeeze-and-excite, which they do not, come late and small.

    stem        convolution, batch norm, ReLU                        [48, 32, 32]
    residual    identity shortcut                                    [48, 32, 32]
    residual    stride 2, projection shortcut                        [64, 16, 16]
    residual    identity shortcut                                    [64, 16, 16]
    fork        1×1 and 3×3 branches, concatenated, max pooling      [64, 8, 8]
    inverted    depthwise, SiLU, squeeze-and-excite, linear, add     [64, 8, 8]
    head        mean over the image, linear                          [10]
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

CLASSES = 10


def convolution(
    channels_in: int, channels_out: int, *, size: int = 3, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Return a convolution that keeps the image's size (divided by `stride`), followed by batch norm."""
    weights = nn.Conv2d(channels_in, channels_out, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(weights, nn.BatchNorm2d(channels_out))


class Residual(nn.Module):
    """Two 3×3 convolutions beside a shortcut: the identity, or a 1×1 projection where the shape changes."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.first = convolution(channels_in, channels_out, stride=stride)
        self.second = convolution(channels_out, channels_out)
        same_shape = stride == 1 and channels_in == channels_out
        self.shortcut = nn.Identity() if same_shape else convolution(channels_in, channels_out, size=1, stride=stride)

    def forward(self, features: Tensor) -> Tensor:
        """Return float32 [batch, channels_out, height / stride, width / stride]."""
        return torch.relu(self.second(torch.relu(self.first(features))) + self.shortcut(features))


class Fork(nn.Module):
    """A 1×1 and a 3×3 branch side by side, concatenated, then halved by max pooling."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.narrow = convolution(channels_in, channels_out // 2, size=1)
        self.wide = convolution(channels_in, channels_out // 2)
        self.pool = nn.MaxPool2d(2)

    def forward(self, features: Tensor) -> Tensor:
        """Return float32 [batch, channels_out, height / 2, width / 2]."""
        branches = [torch.relu(self.narrow(features)), torch.relu(self.wide(features))]
        return cast(Tensor, self.pool(torch.cat(branches, dim=1)))


class SqueezeExcite(nn.Module):
    """Scale each channel by a gate in [0, 1] computed from the means of all channels."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return float32 of the same shape."""
        means = features.mean((2, 3), keepdim=True)
        return features * torch.sigmoid(self.expand(torch.relu(self.reduce(means))))


class Inverted(nn.Module):
    """Widen, convolve every channel alone, gate, narrow, and add the input."""

    def __init__(self, channels: int, widened: int) -> None:
        super().__init__()
        self.widen = nn.Sequential(convolution(channels, widened, size=1), nn.SiLU())
        self.depthwise = nn.Sequential(convolution(widened, widened, groups=widened), nn.SiLU())
        self.gate = SqueezeExcite(widened, widened // 4)
        self.narrow = convolution(widened, channels, size=1)

    def forward(self, features: Tensor) -> Tensor:
        """Return float32 of the same shape."""
        return features + cast(Tensor, self.narrow(self.gate(self.depthwise(self.widen(features)))))


class DigitsNetwork(nn.Module):
    """The whole network: images in [-1, 1] to one logit per digit."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(convolution(1, 48), nn.ReLU())
        self.blocks = nn.Sequential(Residual(48, 48), Residual(48, 64, stride=2), Residual(64, 64), Fork(64, 64))
        self.inverted = Inverted(64, 96)
        self.head = nn.Linear(64, CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits, float32 [batch, 10], of images, float32 [batch, 1, 32, 32]."""
        features = self.inverted(self.blocks(self.stem(image)))
        return cast(Tensor, self.head(features.mean((2, 3))))
