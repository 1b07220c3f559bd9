# Every target does its own set-up: the first one creates .venv and installs everything into it.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.deocc-installed
OUT    ?= deocc-demo
# Two test processes share the cores of a small machine; more threads in each only get in each other's way.
WORKERS ?= 2
ONE_THREAD := OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1

.PHONY: help setup demo lab test test-gpu notebooks environment clean

help:
	@echo "make demo       de-occlude the bundled people with the bundled weights, into $(OUT)"
	@echo "make lab        open the notebooks in JupyterLab"
	@echo "make test       ruff, mypy, unit tests and notebooks"
	@echo "make test-gpu   run every notebook on a GPU in preset small and store times and device"
	@echo "make notebooks  run every notebook in place (preset small) and store its outputs"
	@echo "make setup      only create $(VENV); make clean removes it and all caches"

setup: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "deocc needs Python 3.11 or newer; $(PYTHON) is older. Name another: make PYTHON=python3.12"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	$(BIN)/python tools/dependencies.py --no-deps | \
	  xargs $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
	touch $@

demo: $(STAMP)
	$(BIN)/deocc demo --out $(OUT)

lab: $(STAMP)
	$(BIN)/jupyter lab notebooks/00_quickstart.ipynb

test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(ONE_THREAD) DEOCC_PRESET=tiny $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadscope \
	  --nbval-lax --nbval-cell-timeout 300 --nbval-current-env tests $(wildcard notebooks/*.ipynb)

test-gpu: $(STAMP)
	$(BIN)/python tools/notebooks.py gpu

notebooks: $(STAMP)
	$(BIN)/python tools/notebooks.py execute

environment: $(STAMP)
	$(BIN)/python tools/dependencies.py --conda > environment.yml

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find deocc tests tools notebooks -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf
