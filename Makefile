# One folder, one lock file. `make run` and `make test` need Python 3.11 to 3.13 and make, nothing else.
PYTHON ?= python3
export UV_PYTHON_DOWNLOADS := never
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
READY := .venv/.ready
SHOP := .cogniforge

.PHONY: help run test check ui bench build clean

help:
	@echo "make run    run the main job on the example shop and show what was decided"
	@echo "make test   set up and pass the tests"
	@echo "make check  formatting, lint, types, architecture"
	@echo "make ui     the Dagster UI of the example shop"
	@echo "make bench  list the benchmarks"

run: $(READY) $(SHOP)/platform
	.venv/bin/cogniforge run --home $(SHOP)

ui: $(READY) $(SHOP)/platform
	.venv/bin/cogniforge ui --home $(SHOP)

test: $(READY)
	.venv/bin/python -m pytest -q --numprocesses auto --maxprocesses 4 --no-loadscope-reorder

check: $(READY)
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: $(READY)
	.venv/bin/python -m bench

build: $(READY)
	$(UV) build --wheel

$(SHOP)/platform: | $(READY)
	.venv/bin/python examples/shop/generate.py $(SHOP)

$(READY): pyproject.toml uv.lock | $(UV)
	$(UV) sync --frozen --quiet --python $(PYTHON)
	@touch $@

.tools/bin/uv:
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check "uv>=0.9,<1"

clean:
	rm -rf .venv .tools dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
