# Two commands do everything: `make demo` and `make test` set up what they need and then do their job.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCE ?= photos
INSTALLED := $(VENV)/.installed

.PHONY: demo test setup clean

# Detect objects: make demo WEIGHTS=yolov9-c.pt SOURCE=photos/
demo: $(INSTALLED)
	@test -n "$(WEIGHTS)" || { echo "name a weights file: make demo WEIGHTS=yolov9-c.pt SOURCE=photos/"; exit 2; }
	$(BIN)/gelan predict --weights "$(WEIGHTS)" --source "$(SOURCE)"

# Everything that has to hold: format, lint, import contract, types, tests.
test: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pytest -n auto

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,dev]'
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
