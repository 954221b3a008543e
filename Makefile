# `make run` starts the gateway, `make test` builds and runs every test.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

.PHONY: run test lint build clean

$(VENV)/.installed: pyproject.toml setup.py $(wildcard src/tzcore/*.pyx src/tzcore/*.pxd)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip setuptools wheel
	$(BIN)/pip install --quiet --editable '.[embedded,dev]'
	touch $@

build: $(VENV)/.installed

run: build
	$(BIN)/tensorzero gateway --config-file config/tensorzero.toml

test: build
	$(BIN)/python -m pytest

lint: build
	$(BIN)/ruff check src/tensorzero tests
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) build dist src/*.egg-info src/tzcore/*.c src/tzcore/*.so
