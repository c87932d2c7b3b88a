# make demo: the first experiment, from nothing to figures.   make test: the test suite.
# Both set up .venv on first use. PYTHON picks the interpreter; PIP_ARGS goes to pip, for example an index with torch's CPU wheels.
PYTHON ?= python3
PIP_ARGS ?=
VENV := .venv
READY := $(VENV)/.ready
DEVELOP := $(VENV)/.develop
KANCL := $(VENV)/bin/kancl
INSTALL := $(VENV)/bin/python -m pip install --disable-pip-version-check --quiet $(PIP_ARGS) -c constraints.txt

.PHONY: install demo test check bench clean

install: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "kancl needs Python 3.11 or later, found " + sys.version)'
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) -e .
	touch $(READY)

$(DEVELOP): $(READY)
	$(INSTALL) -e '.[dev]'
	touch $(DEVELOP)

demo: $(READY)
	$(KANCL) run gaussian-peaks split-digits --architectures kan mlp --strategies naive joint --seeds 8 --out runs/demo
	$(KANCL) compare runs/demo
	$(KANCL) report runs/demo

test: $(DEVELOP)
	$(VENV)/bin/python -m pytest -n 2

check: $(DEVELOP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: $(READY)
	$(KANCL) bench --threads 1 $$(getconf _NPROCESSORS_ONLN) --out benchmarks/results/all.json --write docs/performance.md --figures docs/figures

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
