"""Which samples of a run may be read: what a report names is not simply opened."""

import numpy as np
import pytest
from PIL import Image

from quantlab.data.batch import InputSpec
from quantlab.errors import DataError
from quantlab.report.report import Report
from quantlab.serve.samples import GivenSamples, class_names, preprocess_of, sample_number, samples_of

IMAGE = InputSpec("image", np.dtype(np.float32), ("batch", 3, 8, 8))
GREY = InputSpec("image", np.dtype(np.float32), ("batch", 1, 32, 32))
NOTHING_GIVEN = GivenSamples()


def report_with(**recipe: object) -> Report:
    return Report({"recipe": {"data": "digits", "samples": 4, **recipe}})


def test_samples_beyond_those_that_calibrated_are_offered(root):
    samples = samples_of(report_with(data=str(root / "samples.npz"), samples=20), [IMAGE], root, NOTHING_GIVEN)
    assert samples.size == 4
    stored = np.load(root / "samples.npz")["image"]
    np.testing.assert_array_equal(sample_number(samples, 1).feeds["image"], stored[21:22])


def test_the_evaluation_part_of_the_digits_is_offered(tmp_path):
    assert samples_of(report_with(), [GREY], tmp_path, NOTHING_GIVEN).name == "digits (evaluation)"
    assert samples_of(report_with(eval_samples=5), [GREY], tmp_path, NOTHING_GIVEN).size == 5


def test_a_python_file_that_a_report_names_is_never_run(root):
    marker = root / "it-ran"
    (root / "evil.py").write_text(f"open({str(marker)!r}, 'w')\ndef data():\n    return []\n")
    for word in (f"{root}/evil.py:data", f"{root}/evil.py"):
        with pytest.raises(DataError, match="lie outside the served folder"):
            samples_of(report_with(data=word), [IMAGE], root, NOTHING_GIVEN)
    assert not marker.exists()


@pytest.mark.parametrize("word", ["/etc", "../samples.npz", "/etc/passwd", "no\0thing", "x" * 5000, "~"])
def test_data_outside_the_served_folder_are_refused_with_what_to_do(root, word):
    with pytest.raises(DataError, match="--data"):
        samples_of(report_with(data=word), [IMAGE], root, NOTHING_GIVEN)


def test_evaluation_data_outside_the_served_folder_are_refused_too(root, made):
    report = report_with(data=str(root / "samples.npz"), eval_data=str(made / "samples.npz"))
    with pytest.raises(DataError, match="lie outside the served folder"):
        samples_of(report, [IMAGE], root, NOTHING_GIVEN)


def test_a_link_out_of_the_served_folder_is_refused(root, made):
    (root / "linked.npz").symlink_to(made / "samples.npz")
    with pytest.raises(DataError, match="lie outside the served folder"):
        samples_of(report_with(data=str(root / "linked.npz")), [IMAGE], root, NOTHING_GIVEN)


def test_images_of_the_served_folder_are_offered_unless_one_is_a_link_out_of_it(root, tmp_path):
    for name in ("cat", "dog"):
        (root / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8), name == "cat").save(root / "photos" / name / "a.png")
    report = report_with(data=str(root / "photos"), samples=1, preprocess={"preset": "unit"})
    assert class_names(samples_of(report, [IMAGE], root, NOTHING_GIVEN)) == ("cat", "dog")
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    (root / "photos" / "dog" / "b.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match=r"b.png is a link out of the served folder"):
        samples_of(report, [IMAGE], root, NOTHING_GIVEN)


def test_samples_that_the_user_names_stand_in_for_those_of_the_run(root, made):
    given = GivenSamples(str(made / "samples.npz"))
    assert samples_of(report_with(data="/nowhere.npz"), [IMAGE], root, given).size == 24


@pytest.mark.parametrize("number", [-1, 4, 10**8])
def test_a_sample_that_is_not_there_is_named_with_those_that_are(root, number):
    samples = samples_of(report_with(data=str(root / "samples.npz"), samples=20), [IMAGE], root, NOTHING_GIVEN)
    with pytest.raises(DataError, match="has samples 0 to 3"):
        sample_number(samples, number)


def test_a_picture_is_prepared_as_the_run_declared_else_as_its_data_need():
    assert preprocess_of(report_with(preprocess={"preset": "signed"}), IMAGE, NOTHING_GIVEN).limits == (-1.0, 1.0)
    assert preprocess_of(report_with(), GREY, NOTHING_GIVEN).limits == (-1.0, 1.0)
    assert preprocess_of(report_with(data="x.npz"), GREY, NOTHING_GIVEN).limits == (0.0, 1.0)
    given = GivenSamples(None, {"preset": "raw", "channels": "GRAY"})
    assert preprocess_of(report_with(), GREY, given).limits == (0.0, 255.0)


def test_a_model_of_numbers_takes_no_picture():
    spec = InputSpec("x", np.dtype(np.float32), ("batch", 7))
    with pytest.raises(DataError, match=r"send an .npy or .npz file"):
        preprocess_of(report_with(preprocess={"preset": "unit"}), spec, NOTHING_GIVEN)
