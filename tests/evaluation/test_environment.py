"""The machine is described in words that mean the same everywhere."""

from __future__ import annotations

import dataclasses
import json
import platform

import pytest

from quantlab.evaluation.environment import families, installed_version, parse_cpuinfo, read_environment


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
    ("text", "name", "found"),
    [
        ("model name\t: Chip 9\nflags\t\t: sse avx2 avx512_vnni\n\nflags : none", "Chip 9", ("AVX2", "AVX-512 VNNI")),
        ("processor : 0\nFeatures : fp asimd asimddp i8mm\n", None, ("DotProd", "I8MM")),
        ("processor : 0\nmodel name : Old\nflags : sse2 avx\n", "Old", ()),
    ],
    ids=["x86-64", "arm", "old"],
)
def test_flags_are_read_from_what_linux_tells(text: str, name: str | None, found: tuple[str, ...]):
    read_name, flags = parse_cpuinfo(text)
    assert read_name == name
    assert flags is not None
    assert families(flags) == found


def test_a_listing_without_flags_is_unknown():
    assert parse_cpuinfo("processor : 0\n") == (None, None)


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [(("AVX2",), False), (("AVX2", "AVX-VNNI"), True), (("DotProd",), True), ((), False), (None, None)],
)
def test_int8_needs_dot_products(instructions: tuple[str, ...] | None, *, expected: bool | None):
    environment = dataclasses.replace(read_environment(), instructions=instructions)
    assert environment.has_int8_instructions is expected


def test_two_spellings_are_one_family():
    assert families(["avx512vnni", "AVX512_VNNI"]) == ("AVX-512 VNNI",)
