"""What the server answers, and to whom it does not."""

import io
import json
import shutil

import pytest
from flask.testing import FlaskClient
from PIL import Image

from quantlab.serve import uploads
from quantlab.serve.app import create_app
from quantlab.serve.page import POLICY, SCRIPTS, STYLES
from quantlab.serve.samples import GivenSamples
from tests.models import noise
from tests.report.test_html import Page
from tests.serve.conftest import change_report, workbench_of
from tests.serve.test_uploads import picture, saved

HOSTILE = "<img src=x onerror=alert(1)>\"'&"


def sent(client: FlaskClient, run: str, data: bytes, name: str = "sample.png", **more: str):
    form = {"file": (io.BytesIO(data), name), **more}
    return client.post("/try", query_string={"run": run}, data=form, content_type="multipart/form-data")


def test_the_first_page_lists_runs_and_what_is_broken(client, root):
    (root / "broken").mkdir()
    (root / "broken" / "report.json").write_text("{")
    page = client.get("/")
    assert page.status_code == 200
    assert "/report?run=group%2Ftwo" in page.text
    assert "2 runs, 1 more that cannot be shown" in page.text
    assert "this is no quantlab report" in page.text


def test_an_empty_folder_says_how_a_run_is_made(tmp_path):
    text = create_app(workbench_of(tmp_path)).test_client().get("/").text
    assert "quantlab ptq --out" in text


def test_a_report_is_made_anew_under_its_own_policy(client, root):
    (root / "one" / "report.html").write_text("<script>alert(1)</script>")
    page = client.get("/report?run=one")
    assert page.status_code == 200
    assert "net.onnx in INT8" in page.text
    assert "alert(1)" not in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'sha256-" in policy
    assert "frame-ancestors 'none'" in policy


def test_runs_are_compared_with_the_oldest_or_the_one_that_is_asked_for(client, root):
    for name, created in (("one", "2026-02-02T00:00:00+00:00"), ("group/two", "2026-01-01T00:00:00+00:00")):
        change_report(root / name, created=created)
    page = client.get("/compare?run=one&run=group/two&run=one")
    assert page.status_code == 200
    assert page.text.index("group/two</a>") < page.text.index("one</a>")
    page = client.get("/compare?run=one&run=group/two&first=one")
    assert page.text.index("one</a>") < page.text.index("group/two</a>")


@pytest.mark.parametrize("query", ["", "?run=one", "?run=one&run=one", "?run=one&run=nothing", "?run=../one&run=one"])
def test_a_comparison_of_fewer_than_two_runs_or_of_unknown_ones_says_so(client, query):
    page = client.get(f"/compare{query}")
    assert page.status_code == 404
    assert "This cannot be shown" in page.text


def test_a_sample_of_the_run_is_answered_by_fp32_and_int8_side_by_side(client, root):
    content = json.loads((root / "one" / "report.json").read_text())
    change_report(root / "one", recipe={**content["recipe"], "samples": 16})
    page = client.get("/try?run=one&sample=1")
    assert page.status_code == 200
    for said in ("Sample 1 of", "it is labelled", "onnxruntime − fp32", "Median ms", "data:image/png;base64,"):
        assert said in page.text
    picked = client.get("/picture?run=one&sample=1")
    assert picked.mimetype == "image/png"
    assert Image.open(io.BytesIO(picked.data)).size == (8, 8)


def test_a_picture_and_an_array_that_are_sent_are_answered(client):
    for data, name in ((picture(), "red.png"), (saved(noise(3, 8, 8)), "x.npy")):
        page = sent(client, "one", data, name)
        assert page.status_code == 200
        assert name in page.text
        assert "onnxruntime − fp32" in page.text


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"nothing", "cannot be read as an image"),
        (b"", "the file is empty"),
        (saved(noise(1, 3, 9, 9)), "the model needs image: float32[batch, 3, 8, 8]"),
        (saved(noise(1, 3, 8, 8) * float("inf")), "holds"),
    ],
)
def test_a_file_that_cannot_be_tried_is_told_on_the_page_that_takes_another(client, data, said):
    page = sent(client, "one", data, "wrong.bin")
    assert page.status_code == 400
    assert f"wrong.bin: {said}" in page.text or said in page.text
    assert 'type="file"' in page.text


def test_a_file_above_the_limit_is_refused_before_it_is_read(client):
    claimed = {"CONTENT_LENGTH": str(uploads.MOST_BYTES + 2**17), "CONTENT_TYPE": "multipart/form-data; boundary=x"}
    page = client.post("/try?run=one", data=b"--x", environ_overrides=claimed)
    assert page.status_code == 413
    assert "larger than 32 MB" in page.text


@pytest.mark.parametrize("query", ["sample=99", "sample=-1", "sample=x", "sample=1e3", "sample=٣", "first=-1"])
def test_a_sample_that_is_not_there_is_told(client, query):
    page = client.get(f"/try?run=one&{query}")
    assert page.status_code == 400
    assert "sample" in page.text


def test_samples_that_the_server_may_not_read_leave_the_upload(root):
    content = json.loads((root / "one" / "report.json").read_text())
    change_report(root / "one", recipe={**content["recipe"], "data": "/etc"})
    client = create_app(workbench_of(root)).test_client()
    page = client.get("/try?run=one")
    assert page.status_code == 200
    assert "lie outside the served folder" in page.text
    assert 'type="file"' in page.text
    given = GivenSamples(str(root / "samples.npz"))
    assert "24 samples" in create_app(workbench_of(root, given)).test_client().get("/try?run=one").text


@pytest.mark.parametrize("recipe", [{}, {"data": 3}, {"samples": "many"}, {"preprocess": 7}, {"seed": None}])
def test_a_damaged_recipe_is_told_and_no_fault_of_the_server(client, root, recipe):
    content = json.loads((root / "one" / "report.json").read_text())
    change_report(root / "one", recipe={"calibrator": "entropy", **({**content["recipe"], **recipe} if recipe else {})})
    page = client.get("/try?run=one")
    assert page.status_code in (200, 400, 404)
    assert "a fault in quantlab" not in page.text


def test_a_model_that_is_damaged_is_told(client, root):
    (root / "one" / "model.fp32.onnx").write_bytes(b"no model")
    page = client.get("/try?run=one")
    assert page.status_code == 400
    assert "model.fp32.onnx" in page.text


def test_no_name_becomes_markup(root):
    name = HOSTILE.replace("/", "")
    shutil.move(root / "one", root / name)
    model = json.loads((root / name / "report.json").read_text())["model"]
    change_report(root / name, model={**model, "name": HOSTILE})
    client = create_app(workbench_of(root)).test_client()
    pages = [
        client.get("/"),
        client.get("/report", query_string={"run": name}),
        client.get("/try", query_string={"run": name}),
        client.get("/compare", query_string={"run": [name, "group/two"]}),
        client.get("/report", query_string={"run": HOSTILE + "no"}),
        sent(client, name, b"", HOSTILE),
    ]
    for page in pages:
        read = Page(page.text)
        assert not any("onerror" in attributes for _, attributes in read.elements)
        assert "<img src=x onerror" in read.said()


@pytest.mark.parametrize("path", ["/", "/report?run=one", "/try?run=one", "/nothing", "/assets/serve.css"])
def test_every_answer_has_a_strict_policy_and_is_kept_nowhere(client, path):
    headers = client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


def test_no_page_holds_a_script_or_a_style_of_its_own(client):
    assert "unsafe" not in POLICY
    for path in ("/", "/try?run=one&sample=0", "/compare?run=one&run=group/two", "/nothing"):
        text = client.get(path).text
        assert " style=" not in text
        assert "<style" not in text
        assert text.count("<script") == text.count('<script src="/assets/')


@pytest.mark.parametrize("name", [*STYLES, *SCRIPTS])
def test_styles_and_scripts_are_there(client, name):
    answer = client.get(f"/assets/{name}")
    assert answer.status_code == 200
    assert answer.mimetype == ("text/css" if name.endswith("css") else "text/javascript")


@pytest.mark.parametrize(
    "path",
    ["/assets/page.html", "/assets/..%2fapp.py", "/assets/../app.py", "/../../etc/passwd", "/one/report.json"],
)
def test_no_other_file_is_handed_out(client, path):
    assert client.get(path, follow_redirects=False).status_code in (308, 404)


@pytest.mark.parametrize(
    "host", ["example.org", "example.org:8642", "127.0.0.1.example.org", "[::2]", "10.0.0.1", "[", ""]
)
def test_another_name_of_the_host_is_refused(client, host):
    assert client.get("/", headers={"Host": host}).status_code in (400, 403)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8642", "[::1]:8642", "LOCALHOST:1"])
def test_the_names_of_this_machine_are_answered(client, host):
    assert client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://example.org"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    ],
)
def test_pages_of_other_sites_may_not_ask(client, headers):
    assert client.get("/try?run=one&sample=0", headers=headers).status_code == 403
    assert client.post("/try?run=one", headers={**headers, "Sec-Fetch-Mode": "navigate"}).status_code == 403


def test_a_link_on_another_site_may_be_followed(client):
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/", headers=headers).status_code == 200


def test_another_machine_is_refused(client):
    assert client.get("/", environ_base={"REMOTE_ADDR": "192.0.2.7"}).status_code == 403


def test_other_methods_are_refused(client):
    assert client.post("/").status_code == 405
    assert client.delete("/try?run=one").status_code == 405
