# `make run` starts the gateway, `make test` builds and runs every test.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

.PHONY: run test test-plain test-debug soak lint build clean bench bench-e2e bench-bars bench-feedback bench-ingest bench-peers bench-queries profile

$(VENV)/.installed: pyproject.toml setup.py $(wildcard src/tzcore/*.pyx src/tzcore/*.pxd)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip setuptools wheel
	$(BIN)/pip install --quiet --editable '.[embedded,dev]'
	touch $@

# With bytecode, as pip leaves what it installs: else each start would compile every file anew
# where none may be written (PYTHONDONTWRITEBYTECODE, a read-only checkout).
build: $(VENV)/.installed
	@$(BIN)/python -m compileall -q src

run: build
	$(BIN)/tensorzero gateway --config-file config/tensorzero.toml

# Two at a time: most tests wait for processes. A file's tests stay together, they share a gateway.
test: build
	$(BIN)/python -m pytest -n 2 --dist loadfile

# The gateway's tests once more, without the compiled HTTP protocol (docs/http.md).
test-plain: build
	TENSORZERO_PLAIN_HTTP=1 $(BIN)/python -m pytest tests/gateway tests/openai

# The core's tests on a build with bounds checks, in a copy that leaves this one's modules alone.
test-debug: build
	rm -rf build/debug && mkdir -p build/debug
	cp -r setup.py pyproject.toml src tests build/debug/
	rm -f build/debug/src/tzcore/*.so build/debug/src/tzcore/*.c
	cd build/debug && TZCORE_DEBUG=1 $(abspath $(BIN))/python setup.py -q build_ext --inplace
	cd build/debug && PYTHONPATH=src $(abspath $(BIN))/python -m pytest tests/tzcore

# Long runs, marked `soak`.
soak: build
	$(BIN)/python -m pytest -m soak

lint: build
	$(BIN)/ruff check src/tensorzero tests benchmarks
	$(BIN)/mypy
	MYPYPATH=src:benchmarks $(BIN)/mypy $(filter-out benchmarks/host_% benchmarks/test_%,$(wildcard benchmarks/*.py))
	$(BIN)/lint-imports

bench: build
	$(BIN)/python -m pytest benchmarks/test_stages.py benchmarks/test_faces.py benchmarks/test_provider_costs.py

# ARGS='--only saturation --seconds 10' and the like; `--help` lists all.
bench-e2e: build
	$(BIN)/python benchmarks/e2e.py $(ARGS)

bench-bars: build
	$(BIN)/python benchmarks/bars.py $(ARGS)

bench-feedback: build
	$(BIN)/python benchmarks/feedback.py $(ARGS)

bench-ingest: build
	$(BIN)/python benchmarks/ingest.py $(ARGS)

bench-peers: build
	$(BIN)/python benchmarks/peers.py $(ARGS)

bench-queries: build
	$(BIN)/python benchmarks/queries.py $(ARGS)

profile: build
	$(BIN)/python benchmarks/profile_worker.py $(ARGS)

clean:
	rm -rf $(VENV) benchmarks/.build benchmarks/.peers build dist src/*.egg-info src/tzcore/*.c src/tzcore/*.so
