# make demo       audit published rewards; writes report.html
# make test       everything that CI runs
# make lint       style, types, architecture
# make bench      benchmarks
# make evidence   put the published systems to the test again: some hours; what is done is not done again
# make calibration  does the gold probe keep its word? about a minute; writes the table in docs/monitoring.md
# make docs       makes the pages of docs/ that hold results again: half an hour
# make clean      remove what these made
#
# The environment is made once, in .venv, from constraints.txt. Torch comes as the package index offers it: with
# PIP_EXTRA_INDEX_URL set to PyTorch's own index of CPU builds it is several gigabytes smaller.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
VERL_VENV := .venv-verl
VERL := $(VERL_VENV)/.installed

.PHONY: demo test lint bench evidence calibration docs clean
.DEFAULT_GOAL := test

demo: $(INSTALLED)
	@$(BIN)/python examples/demo.py

test: lint $(VERL)
	@echo "== tests"
	@CI=true OMP_NUM_THREADS=1 TRUEWARD_VERL_PYTHON=$(abspath $(VERL_VENV)/bin/python) $(BIN)/python -m pytest \
		-n auto --maxprocesses 4 --dist loadfile

lint: $(INSTALLED)
	@echo "== style (ruff)"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "not formatted; run: $(BIN)/ruff format ."; exit 1; }
	@echo "== types (mypy)"
	@$(BIN)/mypy --no-error-summary
	@echo "== architecture (import-linter)"
	@$(BIN)/lint-imports --no-cache > $(VENV)/lint-imports.log || { cat $(VENV)/lint-imports.log; exit 1; }

bench: $(INSTALLED) $(VERL)
	@for file in $(sort $(wildcard benchmarks/bench_*.py)); do \
		echo "== $$file"; $(BIN)/python $$file || exit 1; \
	done

evidence: $(INSTALLED)
	@$(BIN)/trueward evidence --jobs 2

calibration: $(INSTALLED)
	@$(BIN)/python benchmarks/calibration.py --write docs/monitoring.md

docs: $(INSTALLED)
	@$(BIN)/python examples/harden.py --write docs/harden.md
	@$(BIN)/python examples/transforms_table.py --write docs/transforms.md
	@$(BIN)/python examples/audits_page.py --page docs/published.md
	@$(BIN)/trueward evidence --page-only

clean:
	rm -rf $(VENV) $(VERL_VENV) build dist report.html report.json .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name another one: make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "no venv module: install python3-venv"; exit 1; }
	@echo "Installing Trueward with torch, trl, gymnasium, diffusers, math-verify, reasoning-gym and $$(grep -c == constraints.txt) pinned packages in all into $(VENV)."
	@echo "Once, usually one to five minutes; what pip says goes to $(VENV)/install.log"
	@start=$$(date +%s); \
	PIP_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 \
		$(BIN)/python -m pip install --progress-bar off -e '.[audit,control,dev,flow,ray,train]' > $(VENV)/install.log 2>&1 \
		|| { tail -n 20 $(VENV)/install.log; echo "the installation failed; see $(VENV)/install.log"; exit 1; }; \
	echo "Installed in $$(( $$(date +%s) - start )) s."
	@touch $@

# verl needs other releases of what TRL needs, so what has to do with it is tested in an environment of its own, in which
# Trueward is installed because verl finds it by its entry point. The four packages between are what verl's trainer
# imports and its own package does not name.
$(VERL): constraints-verl.txt pyproject.toml
	@test -x $(VERL_VENV)/bin/python || $(PYTHON) -m venv $(VERL_VENV)
	@echo "Installing verl for its own tests into $(VERL_VENV). Once, usually one to five minutes."
	@PIP_CONSTRAINT=constraints-verl.txt PIP_DISABLE_PIP_VERSION_CHECK=1 \
		$(VERL_VENV)/bin/python -m pip install --progress-bar off \
		verl TransferQueue cachetools fastapi uvicorn -e . > $(VERL_VENV)/install.log 2>&1 \
		|| { tail -n 20 $(VERL_VENV)/install.log; echo "the installation failed; see $(VERL_VENV)/install.log"; exit 1; }
	@touch $@
