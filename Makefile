# Everything a newcomer or CI runs. Only python3 is needed; `.venv` is made on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORE := $(VENV)/.installed-core
DEV := $(VENV)/.installed-dev
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
.DEFAULT_GOAL := help
.PHONY: help demo test slow docs-check lint format notebooks bench screenshot clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# What a user installs: no torch, no test tools.
$(CORE): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable .
	@touch $(CORE)

# torch alone first: a pinned CPU build must not be replaced by a larger one while other packages resolve.
$(DEV): $(CORE)
	$(PIP) torch
	$(PIP) --editable '.[torch,dev]'
	@touch $(DEV)

demo: $(CORE)  ## quantize the bundled digits network with the KL calibrator
	$(BIN)/quantlab ptq --calibrator entropy

test: $(DEV)  ## run the test suite
	$(BIN)/python -m pytest -n 2

slow: $(DEV)  ## real architectures through every target (minutes)
	$(PIP) transformers scikit-image
	$(BIN)/python -m pytest -m slow --timeout 1800

docs-check: $(DEV)  ## run every command and example of README and of --help on stand-in files
	$(BIN)/python -m pytest -m 'docs or not docs' tests/test_readme.py tests/test_readme_commands.py tests/test_help_commands.py

lint: $(DEV)  ## lint, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(DEV)  ## format the sources
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

notebooks: $(DEV)  ## run every notebook in a Jupyter kernel
	$(BIN)/python notebooks/execute.py

bench: $(DEV)  ## measure speed and calibration cost side by side
	$(PIP) transformers scikit-image
	$(BIN)/python -m benchmarks

screenshot: $(DEV)  ## render the pictures of the report that README shows (needs chromium)
	$(BIN)/python docs/render_report_pictures.py

clean:  ## remove what was built
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build dist *.egg-info
