"""Calibration caches are read in every form that exists, and written bit for bit."""

import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from quantlab.errors import CalibrationError, RecipeError
from quantlab.interop.calibration_cache import CalibrationCache, header_for, parse_cache, read_cache, write_cache

NAMES = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1, max_size=30)
BITS = st.integers(0, 2**32 - 1)
VERSIONS = st.sampled_from(["5105", "7103", "7202", "8003", "8510", "8601", "100300", "101500", "8XXX", "10.3.0"])
ALGORITHMS = st.sampled_from(["EntropyCalibration2", "MinMaxCalibration", "EntropyCalibration", "LegacyCalibration"])


def scale_of(bits: int) -> np.float32:
    scale: np.float32 = np.array([bits], np.uint32).view(np.float32)[0]
    return scale


@st.composite
def caches(draw):
    header = f"TRT-{draw(VERSIONS)}-{draw(ALGORITHMS)}"
    entries = draw(st.dictionaries(NAMES, BITS, max_size=12))
    return CalibrationCache(header, {name: scale_of(bits) for name, bits in entries.items()})


@settings(max_examples=1000)
@given(caches())
@example(CalibrationCache("TRT-8601-EntropyCalibration2", {"a: b:c ": scale_of(0x7F812345), ":": scale_of(1)}))
def test_what_is_written_is_read_back_bit_for_bit(cache):
    assert parse_cache(cache.to_text()).same_as(cache)


@given(caches(), st.booleans(), st.booleans())
def test_missing_zeros_and_carriage_returns_change_nothing(cache, has_returns, has_padding):
    lines = []
    for name, scale in cache.scales.items():
        digits = scale.tobytes()[::-1].hex()
        lines.append(f"{name}: {digits if has_padding else digits.lstrip('0') or '0'}")
    text = ("\r\n" if has_returns else "\n").join([cache.header, *lines, "", ""])
    assert parse_cache(text).same_as(cache)


@pytest.mark.parametrize(
    ("header", "version", "algorithm"),
    [
        ("TRT-5105-EntropyCalibration", (5, 1, 5), "EntropyCalibration"),
        ("TRT-7103-EntropyCalibration2", (7, 1, 3), "EntropyCalibration2"),
        ("TRT-8510-EntropyCalibration2", (8, 5, 10), "EntropyCalibration2"),
        ("TRT-8601-MinMaxCalibration", (8, 6, 1), "MinMaxCalibration"),
        ("TRT-100300-MinMaxCalibration", (10, 3, 0), "MinMaxCalibration"),
        ("TRT-101501-EntropyCalibration2", (10, 15, 1), "EntropyCalibration2"),
        ("TRT-8.6.1-EntropyCalibration2", (8, 6, 1), "EntropyCalibration2"),
        ("TRT-8XXX-EntropyCalibration2", None, "EntropyCalibration2"),
        ("TRT-9-EntropyCalibration2", None, "EntropyCalibration2"),
        ("TRT-8.10-EntropyCalibration2", None, "EntropyCalibration2"),
    ],
)
def test_every_form_of_the_header_is_understood_and_kept(header, version, algorithm):
    cache = parse_cache(f"{header}\ndata: 3c008912\n")
    assert (cache.version, cache.algorithm) == (version, algorithm)
    assert cache.to_text().splitlines()[0] == header


def test_a_file_as_tensorrt_writes_it_is_read(tmp_path):
    path = tmp_path / "calibration.cache"
    path.write_text(
        "TRT-8510-EntropyCalibration2\nx: 4000890a\n/conv1/Conv_output_0: 3f9db09c\n"
        "(Unnamed Layer* 4) [Fully Connected]_output: 3d65992f\nmodule:0/out:1: 3c010a14\n"
    )
    cache = read_cache(path)
    assert list(cache.scales) == [
        "x",
        "/conv1/Conv_output_0",
        "(Unnamed Layer* 4) [Fully Connected]_output",
        "module:0/out:1",
    ]
    # Samples of 0..255 have the largest magnitude 255; TensorRT's histogram has 2048 bins, so that half a bin is off.
    assert float(cache.scales["x"]) * 127 == pytest.approx(255.0, rel=1 / 2048)
    assert cache.scales["x"] == struct.unpack(">f", bytes.fromhex("4000890a"))[0]


@pytest.mark.parametrize("digits", ["3C008912", "0x3c008912", "0X3C008912", " 3c008912 "])
def test_scales_are_read_however_their_digits_are_dressed(digits):
    assert (
        parse_cache(f"TRT-8601-EntropyCalibration2\ndata:{digits}").scales["data"].tobytes()[::-1].hex() == "3c008912"
    )


def test_a_byte_order_mark_is_no_part_of_the_header():
    assert parse_cache("\ufeffTRT-8601-EntropyCalibration2\n").header == "TRT-8601-EntropyCalibration2"


def test_the_same_line_twice_is_one_tensor():
    assert len(parse_cache("TRT-8601-EntropyCalibration2\na: 1\na: 00000001\n").scales) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is empty; a cache begins with a line"),
        ("\n", "it is empty"),
        ("data: 3c008912\n", "the first line is 'data: 3c008912', no header"),
        ("trt-8601-entropy\n", "no header"),
        ("TRT-8601-EntropyCalibration2\ndata 3c008912\n", "line 2: 'data 3c008912'"),
        ("TRT-8601-EntropyCalibration2\n\ndata: 3c0089123\n", "line 3"),
        ("TRT-8601-EntropyCalibration2\ndata: 0.5\n", "line 2"),
        ("TRT-8601-EntropyCalibration2\ndata:\n", "line 2"),
        ("TRT-8601-EntropyCalibration2\n: 3c008912\n", "line 2"),
        ("TRT-8601-EntropyCalibration2\na: 1\na: 2\n", "line 3: tensor 'a' has a second"),
    ],
)
def test_what_is_no_cache_is_refused_by_line(text, message):
    with pytest.raises(CalibrationError, match=message):
        parse_cache(text)


def test_a_file_cut_short_within_a_scale_is_refused_at_every_place():
    text = "TRT-8601-EntropyCalibration2\na: 3c008912\nb: 3c010a14\n"
    for length in range(text.index("b:"), len(text) - 1):
        if text[length - 1] == "\n":
            assert len(parse_cache(text[:length]).scales) == 1
        else:
            with pytest.raises(CalibrationError, match="line 3"):
                parse_cache(text[:length])
    assert len(parse_cache(text[:-1]).scales) == 2
    assert parse_cache("TRT-8601-EntropyCalibration2\ndead: 0").scales["dead"] == 0


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(CalibrationError, match=r"none\.cache: the calibration cache cannot be read"):
        read_cache(tmp_path / "none.cache")
    (tmp_path / "binary.cache").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CalibrationError, match="not a calibration cache, which is text"):
        read_cache(tmp_path / "binary.cache")


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "calibration.cache"
    cache = CalibrationCache("TRT-8601-EntropyCalibration2", {"häns": np.float32(0.5)})
    write_cache(cache, path)
    assert path.read_bytes() == "TRT-8601-EntropyCalibration2\nhäns: 3f000000\n".encode()
    with pytest.raises(CalibrationError, match="cannot hold the tensor name"):
        write_cache(CalibrationCache("TRT-8601-EntropyCalibration2", {"a\nb": np.float32(1)}), path)
    assert read_cache(path).same_as(cache)
    with pytest.raises(CalibrationError, match="cannot be written"):
        write_cache(cache, tmp_path / "none" / "calibration.cache")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("version", "algorithm", "header"),
    [
        ("8.6.1", "entropy2", "TRT-8601-EntropyCalibration2"),
        ("8601", "minmax", "TRT-8601-MinMaxCalibration"),
        ("8.5", "entropy2", "TRT-8500-EntropyCalibration2"),
        ("8.5.10", "entropy2", "TRT-8510-EntropyCalibration2"),
        ("10.3.0", "entropy2", "TRT-100300-EntropyCalibration2"),
        ("10.15.1.29", "minmax", "TRT-101501-MinMaxCalibration"),
        ("100300", "entropy2", "TRT-100300-EntropyCalibration2"),
    ],
)
def test_headers_are_made_for_a_version(version, algorithm, header):
    assert header_for(version, algorithm) == header


@pytest.mark.parametrize(("version", "algorithm"), [("8.6.1", "entropy"), ("newest", "minmax"), ("8.12", "minmax")])
def test_versions_and_algorithms_that_do_not_exist_are_refused(version, algorithm):
    with pytest.raises(RecipeError, match=r"is unknown|is not of the form"):
        header_for(version, algorithm)
