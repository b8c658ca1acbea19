# make demo   install into .venv and run the whole story into demo/
# make test   install the test extra and run the tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check clean

demo: $(VENV)/demo.installed
	$(BIN)/tetviz demo demo --force

test: $(VENV)/test.installed
	$(BIN)/python -m pytest -n 2

check: $(VENV)/dev.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p tetviz

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("tetviz needs Python 3.11 or newer, this is " + sys.version if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.installed: EXTRA =
$(VENV)/test.installed: EXTRA = [test]
$(VENV)/dev.installed: EXTRA = [dev]
$(VENV)/%.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install -q -c constraints.txt -e '.$(EXTRA)'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
