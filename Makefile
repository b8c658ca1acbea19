# make demo   install into .venv and run the whole story into demo/
# make test   install the test extra and run the tests
# make docs   install the docs extra and build the documentation site into site/
# make check  lint, format, types, and the wheel installed and run from elsewhere
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test docs check wheel clean

demo: $(VENV)/demo.installed
	$(BIN)/tetviz demo demo --force

test: $(VENV)/test.installed
	$(BIN)/python -m pytest -n 2

docs: $(VENV)/docs.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "open site/index.html; the search needs a server: $(BIN)/python -m http.server -b 127.0.0.1 -d site"

check: $(VENV)/dev.installed wheel
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p tetviz

wheel: $(VENV)/dev.installed
	rm -rf build dist
	$(BIN)/python -m build --wheel --no-isolation --outdir dist . > /dev/null
	$(BIN)/python -m pip install -q --no-deps --target build/installed dist/*.whl
	cd build/installed && PYTHONPATH=. $(CURDIR)/$(BIN)/python -c \
		"import tetviz.cli, pathlib; assert pathlib.Path(tetviz.__file__).parent.parent.samefile('.'); tetviz.cli.main(['--version'])"
	rm -rf build dist

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("tetviz needs Python 3.11 or newer, this is " + sys.version if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/demo.installed: EXTRA =
$(VENV)/test.installed: EXTRA = [test]
$(VENV)/docs.installed: EXTRA = [docs]
$(VENV)/dev.installed: EXTRA = [dev]
$(VENV)/%.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install -q -c constraints.txt -e '.$(EXTRA)'
	touch $@

clean:
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache
