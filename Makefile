# Two commands do everything on a fresh machine with Python 3.10: `make demo` and `make test`. Another Python, on which
# Lava does not run: `make test PYTHON=python3.13 VENV=.venv-3.13`.

VENV ?= .venv
BIN := $(VENV)/bin
# torch for CPUs alone where there is no NVIDIA driver; TORCH_INDEX= takes what the usual index has.
TORCH_INDEX ?= $(if $(shell command -v nvidia-smi),,https://download.pytorch.org/whl/cpu)
BENCH_VENV ?= .venv-bench
BENCH := $(BENCH_VENV)/bin
STAMP := $(VENV)/.installed
DEMO_STAMP := $(VENV)/.installed-for-demo
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PYTEST_ARGS ?=
# Test processes beside each other; two suit two cores and 8 GB of memory. The tests of Lava have one more, which is
# small (tests/scheduling.py).
WORKERS ?= 2
PYTEST = $(BIN)/python -m pytest --dist loadgroup --tx $(WORKERS)*popen

.PHONY: demo test test-fast test-oldest setup lint types imports docs site bench benchmarks clean help

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

demo: $(DEMO_STAMP)  ## sets up, then runs the main job: export, check, run on three runtimes, stream events
	$(BIN)/nirbridge demo

# Tests start hundreds of Python processes, each of which would compile all modules that it finds no bytecode of.
test test-fast: export PYTHONDONTWRITEBYTECODE =
# Several processes share the cores: threads of each would wait for those of the others, spinning.
test test-fast: export OMP_NUM_THREADS = 1

test: setup  ## sets up, then runs the tests; more after PYTEST_ARGS=, as in PYTEST_ARGS="-x tests/ir"
	$(PYTEST) --tx popen//id=lava $(PYTEST_ARGS)

test-fast: setup  ## the tests of an edit loop: nothing that starts Lava, trains or takes many seconds
	$(PYTEST) -m "not slow" $(PYTEST_ARGS)

test-oldest:  ## the tests, with the oldest releases that pyproject.toml allows to users, in an environment of their own
	mkdir -p .venv-oldest
	sed '/^dev = /,$$d' pyproject.toml | grep -oE '[A-Za-z0-9-]+>=[0-9.]+' | sed 's/>=/==/' > .venv-oldest/oldest.txt
	PIP_CONSTRAINT=$(CURDIR)/.venv-oldest/oldest.txt $(MAKE) test VENV=.venv-oldest

setup: $(STAMP)  ## a virtual environment with nirbridge, all of its extras and the tools of development

$(DEMO_STAMP): pyproject.toml
	@python=$$(tools/find-python) && echo "Python: $$python" && \
	  { [ -x $(BIN)/python ] || "$$python" -m venv $(VENV); }
	$(PIP) --upgrade pip
	@$(torch_for_cpus)
	$(PIP) --editable '.[all]'
	@touch $@

$(STAMP): $(DEMO_STAMP)
	$(PIP) --editable '.[dev]'
	@touch $@

# A torch that is there is left alone, and where its index cannot be reached the usual one gives the same, larger.
# Norse needs torchvision, whose build must be that of torch.
define torch_for_cpus
[ -z "$(TORCH_INDEX)" ] || $(BIN)/python -c 'import importlib.metadata as m; m.version("torch")' 2>/dev/null || \
  $(PIP) --retries 0 --timeout 15 --index-url $(TORCH_INDEX) torch torchvision 2>/dev/null || \
  echo "$(TORCH_INDEX) cannot be reached; torch comes from the usual index, perhaps with CUDA"
endef

lint: setup  ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup  ## the strict type checker on the core
	$(BIN)/mypy

imports: setup  ## who may import whom
	$(BIN)/lint-imports

docs: setup  ## regenerates the pages that come from commands; the runs behind results.md are kept
	$(BIN)/python docs/generate_cli.py
	$(BIN)/python docs/generate_support.py
	$(BIN)/python -m benchmarks.results --redraw
	$(BIN)/python -m benchmarks.speed --redraw

site: setup  ## the documentation as a site, in site/; a warning stops it
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

bench: $(BENCH_VENV)/.installed  ## speed against peers in an environment of their own: docs/benchmarks.md; BENCH_ARGS="--only cnn"
	OMP_NUM_THREADS=1 $(BENCH)/python -m benchmarks.speed $(BENCH_ARGS)

# sinabs asks for nir 1.0.4, which knows less than nirbridge needs, and for the driver of a chip: it comes without both.
$(BENCH_VENV)/.installed: pyproject.toml benchmarks/peers.txt
	@python=$$(tools/find-python) && { [ -x $(BENCH)/python ] || "$$python" -m venv $(BENCH_VENV); }
	$(BENCH)/python -m pip install --quiet --disable-pip-version-check --editable '.[all]' -r benchmarks/peers.txt
	$(BENCH)/python -m pip install --quiet --disable-pip-version-check --no-deps sinabs==3.1.3
	@touch $@

benchmarks: setup  ## the other benchmarks, one program each
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean:  ## removes the virtual environments and the site
	rm -rf $(VENV) $(BENCH_VENV) site
