"""A processor is judged by its 8-bit dot products."""

from __future__ import annotations

import pytest

from quantlab.processor import Processor, families, parse_cpuinfo, read_processor


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


def test_two_spellings_are_one_family():
    assert families(["avx512vnni", "AVX512_VNNI"]) == ("AVX-512 VNNI",)


@pytest.mark.parametrize(
    ("architecture", "instructions", "expected"),
    [
        ("x86_64", ("AVX2", "AVX-512"), True),
        ("AMD64", (), True),
        ("x86_64", ("AVX2", "AVX-VNNI"), False),
        ("aarch64", (), False),
        ("x86_64", None, False),
    ],
)
def test_only_x86_without_vnni_is_known_to_saturate(
    architecture: str, instructions: tuple[str, ...] | None, *, expected: bool
):
    assert Processor("", architecture, instructions).saturates_products is expected


def test_this_processor_has_a_name():
    assert read_processor().name
