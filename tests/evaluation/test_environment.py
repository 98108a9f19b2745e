"""The machine is described in words that mean the same everywhere."""

from __future__ import annotations

import dataclasses
import json
import platform

import pytest

from quantlab.evaluation.environment import installed_version, read_environment


def test_this_machine_is_described():
    environment = read_environment()
    assert environment.python == platform.python_version()
    assert environment.usable_cores >= 1
    assert environment.memory_bytes > 2**20
    assert environment.packages["numpy"] == installed_version("numpy")
    assert json.loads(json.dumps(environment.to_json()))["cpu"] == environment.cpu
    assert environment.cpu in str(environment)


def test_a_package_that_is_not_installed_is_left_out():
    assert read_environment(["numpy", "no-such-package"]).packages.keys() == {"numpy"}


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [(("AVX2",), False), (("AVX2", "AVX-VNNI"), True), (("DotProd",), True), ((), False), (None, None)],
)
def test_int8_needs_dot_products(instructions: tuple[str, ...] | None, *, expected: bool | None):
    environment = dataclasses.replace(read_environment(), instructions=instructions)
    assert environment.has_int8_instructions is expected
