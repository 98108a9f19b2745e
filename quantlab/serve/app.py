"""Routes: what the browser asks for → pages, pictures and files, behind the checks of `guard`.

    GET  /                                   the runs of the folder
    GET  /report?run=R                       a run's report, made anew from its report.json
    GET  /compare?run=A&run=B[&first=A]      runs side by side, compared with the oldest or the one that is to be first
    GET  /try?run=R[&sample=N][&first=N]     samples to pick from; with a sample, what the models answer
    POST /try?run=R                          the same for a file that is sent
    GET  /picture?run=R&sample=N             a sample as PNG
    GET  /assets/NAME                        style sheets and scripts

A run is named by its place in the list. A stored report.html is never handed out: it could hold anything.
"""

from __future__ import annotations

import logging
import re
from xml.etree.ElementTree import Element

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, NotFound, RequestEntityTooLarge

from quantlab.errors import DataError, QuantlabError, RunError
from quantlab.markup import element
from quantlab.report.html import to_html
from quantlab.report.html.joined import joined_sections
from quantlab.report.joining import join
from quantlab.serve.guard import add_guard
from quantlab.serve.list_page import list_page
from quantlab.serve.page import SCRIPTS, STYLES, address, asset, page
from quantlab.serve.try_page import try_page
from quantlab.serve.uploads import MOST_BYTES, Upload
from quantlab.serve.workbench import Workbench

_logger = logging.getLogger(__name__)
_FEWEST_COMPARED, _MOST_COMPARED = 2, 12
_META_POLICY = re.compile(r'http-equiv="Content-Security-Policy"\s+content="([^"]+)"')


def create_app(workbench: Workbench) -> Flask:
    """Return the application for a folder of runs."""
    app = Flask(__name__, static_folder=None)
    # A form is little more than its file.
    app.config.update(MAX_CONTENT_LENGTH=MOST_BYTES + 2**16, MAX_FORM_MEMORY_SIZE=2**16, MAX_FORM_PARTS=8)
    add_guard(app)
    _add_reading(app, workbench)
    _add_trying(app, workbench)
    _add_errors(app)
    return app


def _add_reading(app: Flask, workbench: Workbench) -> None:
    runs = workbench.runs

    @app.get("/")
    def index() -> str:
        return list_page(runs.root.name, runs.entries())

    @app.get("/report")
    def report() -> Response:
        text = to_html(runs.report(_run()))
        response = Response(text, mimetype="text/html")
        policy = _META_POLICY.search(text)  # of a page made here, before anything that a report says
        assert policy is not None
        response.headers["Content-Security-Policy"] = f"{policy[1]}; frame-ancestors 'none'"
        return response

    @app.get("/compare")
    def compare() -> str:
        names = list(dict.fromkeys(request.args.getlist("run")))
        if not _FEWEST_COMPARED <= len(names) <= _MOST_COMPARED:
            raise RunError(f"{len(names)} runs are chosen; choose from {_FEWEST_COMPARED} to {_MOST_COMPARED} runs")
        reports = {name: runs.report(name) for name in names}
        first = request.args.get("first", "")
        # The oldest, unless another is asked for: what came later is compared with what was there.
        ordered = sorted(names, key=lambda name: (name != first, str(reports[name].content["created"])))
        sections = joined_sections(join({name: reports[name] for name in ordered}))
        return page("quantlab: comparison", [*sections, _reports(ordered)], places=[("Comparison", None)])

    @app.get("/favicon.ico")
    def icon() -> Response:
        return Response(status=204)

    @app.get("/assets/<name>")
    def assets(name: str) -> Response:
        if name not in STYLES and name not in SCRIPTS:
            raise NotFound
        return Response(asset(name), mimetype="text/css" if name in STYLES else "text/javascript")


def _reports(names: list[str]) -> Element:
    """Return links to the reports of compared runs, and to comparisons with another of them."""
    links = [
        element("li", element("a", name, href=address("/report", run=name)), " ", _as_first(names, name))
        for name in names
    ]
    return element("section", element("h2", "Reports"), element("ul", *links, class_="reports"))


def _as_first(names: list[str], name: str) -> Element:
    if name == names[0]:
        return element("span", "the others are compared with it", class_="quiet")
    return element("a", "compare the others with this one", href=address("/compare", run=names, first=name))


def _add_trying(app: Flask, workbench: Workbench) -> None:
    @app.get("/try")
    def pick() -> tuple[str, int]:
        number = _number("sample") if "sample" in request.args else None
        shown = workbench.shown(_run(), first=_number("first"), number=number)
        return try_page(shown), 400 if shown.fault else 200

    @app.post("/try")
    def send() -> tuple[str, int]:
        file = request.files.get("file")
        if file is None or not file.filename:
            raise DataError("no file was sent; choose one")
        upload = Upload(file.filename, file.stream.read(), is_inverted="inverted" in request.form)
        shown = workbench.shown(_run(), upload=upload)
        return try_page(shown), 400 if shown.fault else 200

    @app.get("/picture")
    def picture() -> Response:
        png = workbench.picture(_run(), _number("sample"))
        if png is None:
            raise NotFound
        return Response(png, mimetype="image/png")


def _add_errors(app: Flask) -> None:
    @app.errorhandler(QuantlabError)
    def refused(error: QuantlabError) -> tuple[str, int]:
        return _fault_page(str(error)), 404 if isinstance(error, RunError) else 400

    @app.errorhandler(RequestEntityTooLarge)
    def too_large(error: RequestEntityTooLarge) -> tuple[str, int]:
        return _fault_page(f"The file is larger than {MOST_BYTES >> 20} MB; send a smaller one."), 413

    @app.errorhandler(HTTPException)
    def other(error: HTTPException) -> tuple[str, int]:
        return _fault_page(error.description or error.name), error.code or 500

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> tuple[str, int]:
        _logger.error("a page could not be made", exc_info=error)
        return _fault_page(f"a fault in quantlab: {type(error).__name__}: {error}"), 500


def _fault_page(said: str) -> str:
    sections = [element("h1", "This cannot be shown"), element("p", said, class_="verdict bad", role="alert")]
    return page("quantlab: fault", sections, places=[("Fault", None)])


def _run() -> str:
    return request.args.get("run", "")


def _number(name: str) -> int:
    text = request.args.get(name, "0")
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise DataError(f"{name}: {text!r} is no number of a sample")
    return int(text)
