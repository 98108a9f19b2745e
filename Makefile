# Everything a newcomer or CI runs. Only python3 is needed; `.venv` is made on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
.DEFAULT_GOAL := help
.PHONY: help demo test slow lint format bench clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

# torch alone first: a pinned CPU build must not be replaced by a larger one while other packages resolve.
$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[torch,dev]'
	@touch $(STAMP)

demo: $(STAMP)  ## quantize the bundled digits network with the KL calibrator
	$(BIN)/quantlab ptq --calibrator entropy

test: $(STAMP)  ## run the test suite
	$(BIN)/python -m pytest -n 2

slow: $(STAMP)  ## real architectures through every target (minutes; needs the dev packages)
	$(BIN)/python -m pytest -m slow

lint: $(STAMP)  ## lint, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)  ## format the sources
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)  ## measure speed and calibration cost side by side
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt transformers
	$(BIN)/python -m benchmarks

clean:  ## remove what was built
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build dist *.egg-info
