# Every target does its own set-up: the first one creates .venv and installs everything into it.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.deocc-installed
OUT    ?= deocc-demo
PIP    := $(BIN)/python -m pip install --disable-pip-version-check
# TORCH=cpu takes PyTorch from its index of builds without GPU libraries. torchvision comes from there as well:
# built for another PyTorch, it fails when it is imported.
TORCH  ?=
CPU_ONLY := torch torchvision --index-url https://download.pytorch.org/whl/cpu
# More words for JupyterLab: make lab LAB="--no-browser --port 9000"
LAB    ?=
# JupyterLab refuses to run as root (in a container, say) unless it is told to.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)
# Two test processes share the cores of a small machine; more threads in each only get in each other's way.
WORKERS ?= 2
ONE_THREAD := OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1

.PHONY: help setup demo lab app site student test test-gpu notebooks environment clean

help:
	@echo "make demo       de-occlude the bundled people with the bundled weights, into $(OUT)"
	@echo "make lab        open the notebooks in JupyterLab"
	@echo "make app        the photo studio as a page in the browser, on this computer alone"
	@echo "make site       notebooks, docs, results, model cards and API reference as pages, into build/site/html"
	@echo "make student    copies of the notebooks without the answers, into student/"
	@echo "make test       ruff, mypy, unit tests and notebooks"
	@echo "make test-gpu   run every notebook on a GPU in preset small and store times and device"
	@echo "make notebooks  run every notebook in place (preset small) and store its outputs"
	@echo "make setup      only create $(VENV); make clean removes it and all caches"
	@echo "With TORCH=cpu (make demo TORCH=cpu), the set-up leaves out PyTorch's GPU libraries."

setup: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "deocc needs Python 3.11 or newer; $(PYTHON) is older. Name another: make PYTHON=python3.12"; exit 2; }
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) || \
	  { echo "no virtual environment could be made in $(VENV); on Debian and Ubuntu: sudo apt install python3-venv"; exit 2; }
	@echo "Installing what deocc needs into $(VENV), once: some minutes, and about 7 GB of disk, most of it PyTorch's"
	@echo "GPU libraries (TORCH=cpu leaves them out). The last step unpacks them: it is quiet for a minute or two."
	$(if $(filter cpu,$(TORCH)),$(PIP) $(CPU_ONLY))
	$(PIP) -e ".[dev]"
	$(BIN)/python tools/dependencies.py --no-deps | xargs $(PIP) --no-deps
	@touch $@

demo: $(STAMP)
	$(BIN)/deocc demo --out $(OUT)

lab: $(STAMP)
	$(BIN)/jupyter lab $(AS_ROOT) $(LAB) notebooks/00_quickstart.ipynb

app: $(STAMP)
	$(BIN)/python tools/app.py

site: $(STAMP)
	$(BIN)/python tools/make_site.py

student: $(STAMP)
	$(BIN)/python tools/notebooks.py student

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
