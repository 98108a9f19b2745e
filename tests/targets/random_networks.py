"""Seeded random networks of everything that may stand between two convolutions, to find what no pattern thought of."""

from __future__ import annotations

import random

import numpy as np

from quantlab.graph.model import Model
from tests.patterns import build, floats, integers, scalar

_SIZE = 16
# `{x}` is read, `{y}` written, `{i}` numbers the step; all keep the shape [2, 32, 16, 16].
_STEPS = (
    "[conv{i}] {y} = Conv<pads=[1,1,1,1]>({x}, dense, bias)",
    "[conv{i}] {y} = Conv<pads=[1,1,1,1]>({x}, dense)",
    "[point{i}] {y} = Conv({x}, point, bias)",
    "[depth{i}] {y} = Conv<pads=[1,1,1,1],group=32>({x}, depth)",
    "[group{i}] {y} = Conv<pads=[1,1,1,1],group=8>({x}, group)",
    "[up{i}] u{i} = ConvTranspose<strides=[2,2]>({x}, up) [down{i}] {y} = Conv<strides=[2,2]>(u{i}, point)",
    "[relu{i}] {y} = Relu({x})",
    "[clip{i}] {y} = Clip({x}, zero, six)",
    "[hard{i}] {y} = Clip({x}, minus, six)",
    "[leaky{i}] {y} = LeakyRelu<alpha=0.1>({x})",
    "[swish{i}] {y} = HardSwish({x})",
    "[sigmoid{i}] s{i} = Sigmoid({x}) [silu{i}] {y} = Mul({x}, s{i})",
    "[add{i}] {y} = Add({x}, {z})",
    "[mul{i}] m{i} = Mul({x}, {z}) [sigmoid{i}] {y} = Sigmoid(m{i})",
    "[shift{i}] {y} = Add({x}, offset)",
    "[join{i}] j{i} = Concat<axis=1>({x}, {z}) [cut{i}] {y} = Conv(j{i}, narrow, bias)",
    "[part{i}] p{i}, q{i} = Split<axis=1,num_outputs=2>({x}) [join{i}] {y} = Concat<axis=1>(q{i}, p{i})",
    "[max{i}] {y} = MaxPool<kernel_shape=[3,3],pads=[1,1,1,1]>({x})",
    "[mean{i}] {y} = AveragePool<kernel_shape=[3,3],pads=[1,1,1,1]>({x})",
    "[turn{i}] {y} = Transpose<perm=[0,1,3,2]>({x})",
    (
        "[apart{i}] a{i} = Reshape({x}, groups) [swap{i}] b{i} = Transpose<perm=[0,2,1,3,4]>(a{i}) "
        "[together{i}] {y} = Reshape(b{i}, shape)"
    ),
    (
        "[pool{i}] g{i} = GlobalAveragePool({x}) [gate{i}] h{i} = Conv(g{i}, point, bias) "
        "[open{i}] o{i} = Sigmoid(h{i}) [scale{i}] {y} = Mul(o{i}, {x})"
    ),
    (
        "[small{i}] k{i} = MaxPool<kernel_shape=[2,2],strides=[2,2]>({x}) "
        '[large{i}] {y} = Resize<mode="nearest",coordinate_transformation_mode="asymmetric",nearest_mode="floor">'
        "(k{i}, , scales)"
    ),
    "[norm{i}] {y} = LayerNormalization<axis=-1>({x}, gain)",
    "[linear{i}] l{i} = MatMul({x}, matrix) [bias{i}] {y} = Add(l{i}, vector)",
    "[product{i}] {y} = MatMul({x}, {z})",
)


def random_network(seed: int, steps: int = 12) -> Model:
    """Return a random network of one output that reads, most of the time, what the step before it left."""
    pick = random.Random(seed)
    names, lines = ["x"], []
    for index in range(steps):
        x = names[-1] if pick.random() < 0.8 else pick.choice(names)
        name = "y" if index == steps - 1 else f"t{index}"
        lines.append(pick.choice(_STEPS).format(x=x, z=pick.choice(names), y=name, i=index))
        names.append(name)
    batch = pick.choice(("2", "N"))
    shape = f"{batch},32,{_SIZE},{_SIZE}"
    return build(
        f"random_{seed}",
        f"(float[{shape}] x) => (float[{shape}] y) {{ {' '.join(lines)} }}",
        dense=(32, 32, 3, 3),
        point=(32, 32, 1, 1),
        depth=(32, 1, 3, 3),
        group=(32, 4, 3, 3),
        up=(32, 32, 2, 2),
        narrow=(32, 64, 1, 1),
        bias=(32,),
        offset=np.linspace(-1, 1, 32, dtype=np.float32).reshape(32, 1, 1),
        zero=scalar(0.0),
        six=scalar(6.0),
        minus=scalar(-1.0),
        gain=floats(*[1.0] * _SIZE),
        matrix=(_SIZE, _SIZE),
        vector=(_SIZE,),
        groups=integers(-1, 2, 16, _SIZE, _SIZE),
        shape=integers(-1, 32, _SIZE, _SIZE),
        scales=floats(1.0, 1.0, 2.0, 2.0),
    )
