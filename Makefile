# make demo   install into .venv and run the whole story into demo/
# make study  install into .venv and run a study into study-quick/; PLAN=cifar is another plan, DATA=DIR where its data are
# make test   install the test extra and run the tests
# make docs   install the docs extra and build the documentation site into site/
# make check  lint, format, types, and the wheel installed and run from elsewhere
# make fuzz   mutated files over all readers; FUZZ=1000 is how many
# make soak   long commands killed and given again; SOAK=30 is how many kills
# make sbom   what is installed, and what of it tetviz needs, as CycloneDX into sbom.json
# make audit  the versions of constraints.txt against known advisories, which are asked for over the network
# make test-matrix  the tests with the oldest dependencies, and with Python 3.12 and 3.13; MATRIX=3.13 is one of them
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

MATRIX ?= lowest 3.12 3.13

.PHONY: demo study test docs check wheel test-matrix clean fuzz soak sbom audit

demo: $(VENV)/demo.installed
	$(BIN)/tetviz demo demo --force

PLAN = quick
study: $(VENV)/demo.installed
	$(BIN)/tetviz study $(PLAN) $(DATA:%=--data-root %)

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

# uv takes the interpreters that are there, and fetches those that are not.
test-matrix: $(MATRIX:%=matrix-%)

matrix-lowest: VERSION = 3.11
matrix-lowest: RESOLUTION = lowest-direct
# The newest torchaudio would not fit the oldest torch; and old releases warn of newer ones of others.
matrix-lowest: PINS = torchaudio==2.6.0
matrix-lowest: WARNINGS = -W default
matrix-%: VERSION = $*
matrix-%: RESOLUTION = highest
matrix-%: VENV_OF = $(VENV)/matrix/$*
matrix-%: $(VENV)/bin/python
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv venv -q --clear --python $(VERSION) $(VENV_OF)
	$(BIN)/uv pip install -q --python $(VENV_OF) --resolution $(RESOLUTION) -r pyproject.toml --extra test $(PINS)
	$(BIN)/uv pip install -q --python $(VENV_OF) --no-deps -e .
	$(VENV_OF)/bin/python -m pytest -n 2 $(WARNINGS)

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("tetviz needs Python 3.11 or newer, this is " + sys.version if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/demo.installed: EXTRA =
$(VENV)/test.installed: EXTRA = [test]
$(VENV)/docs.installed: EXTRA = [docs]
$(VENV)/dev.installed: EXTRA = [dev]
$(VENV)/%.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing into $(VENV), which takes some minutes"
	$(BIN)/python -m pip install -q -c constraints.txt -e '.$(EXTRA)'
	touch $@

FUZZ = 100000
fuzz: $(VENV)/test.installed
	cd tests/support && $(abspath $(BIN))/python fuzz.py --count $(FUZZ)

SOAK = 1000
soak: $(VENV)/test.installed
	cd tests/support && $(abspath $(BIN))/python soak.py --count $(SOAK)

# The tools are pinned, and run in environments of their own: they are no part of what they list.
sbom: $(VENV)/demo.installed
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv tool run -q --from cyclonedx-bom==7.5.0 cyclonedx-py environment --pyproject pyproject.toml \
		--output-format JSON --output-reproducible -o sbom.json $(BIN)/python

audit: $(VENV)/bin/python
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv tool run -q pip-audit==2.10.1 -r constraints.txt --strict --no-deps --disable-pip --progress-spinner off

clean:
	rm -rf $(VENV) build dist site sbom.json *.egg-info .pytest_cache .mypy_cache .ruff_cache
