# Everything happens in .venv; nothing is installed outside of it. `make help` lists what there is.

PYTHON3 ?=
# Many tests wait for processes that they start: one worker more than processors keeps these busy.
TEST_WORKERS ?= 3
UV ?= $(UV_VENV)/bin/uv

VENV := .venv
UV_VENV := .make/uv
PYTHON := $(VENV)/bin/python
RUN_READY := $(VENV)/.run-ready
DEV_READY := $(VENV)/.dev-ready

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# An environment that was cut off while it was made, was moved, or has lost its Python is made anew.
USABLE := $(shell test ! -e $(VENV)/.unfinished \
	&& test "$$(cat $(VENV)/.place 2>/dev/null || pwd)" = "$$(pwd)" \
	&& $(PYTHON) -c '' 2>/dev/null && echo yes)
ifneq ($(USABLE),yes)
.PHONY: $(PYTHON) $(RUN_READY) $(DEV_READY)
endif

# The newest Python that fits and can make environments; a pyenv shim may exist and still not run.
define FIND_PYTHON
for candidate in $(or $(PYTHON3),python3.13 python3.12 python3.11 python3); do \
	if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		found="$$candidate"; break; \
	fi; \
done; \
if [ -z "$$found" ]; then \
	echo "Send2LLM needs Python 3.11 or newer with the venv module (on Debian: apt install python3-venv)." >&2; \
	echo "If it is there under another name: make PYTHON3=/path/to/python ..." >&2; \
	exit 1; \
fi
endef

# The mark says that pip did not finish: what it leaves then is not to be trusted.
# $(1): the lock file
define INSTALL
@echo "Installing $(1) into $(VENV)"
@touch $(VENV)/.unfinished
@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1)
@$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
@$(PYTHON) -m pip --quiet --disable-pip-version-check check
@pwd > $(VENV)/.place
@rm $(VENV)/.unfinished
endef

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: $(RUN_READY) ## Set up, fetch the small local model, and serve on loopback
	$(VENV)/bin/send2llm local fetch
	exec $(VENV)/bin/send2llm serve

.PHONY: test
test: $(DEV_READY) ## Run all tests
	$(PYTHON) -m pytest -n $(TEST_WORKERS) --dist worksteal $(ARGS)

.PHONY: check
check: $(DEV_READY) ## Check format, lint, types and layers
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

.PHONY: fix
fix: $(DEV_READY) ## Format, and correct what ruff can correct by itself
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

.PHONY: bench
bench: $(DEV_READY) ## Run the benchmarks
	$(PYTHON) benchmarks/all.py $(ARGS)

# Runs for every platform and Python at once; the files name no package index, pip uses the configured one.
LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links --constraint requirements/limits.in pyproject.toml requirements/build.in

.PHONY: lock
lock: $(if $(filter $(UV_VENV)/%,$(UV)),$(UV_VENV)/bin/uv) ## Lock the newest versions that fit pyproject.toml
	rm -f requirements/run.txt requirements/dev.txt
	$(LOCK) --extra local --output-file requirements/run.txt
	$(LOCK) --extra local --extra dev --constraint requirements/run.txt --output-file requirements/dev.txt

.PHONY: clean
clean: ## Remove the environment and what tools left behind
	rm -rf $(VENV) .make build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(PYTHON):
	@$(FIND_PYTHON); \
	echo "Making $(VENV) with $$found"; \
	rm -rf $(VENV) && mkdir $(VENV) && touch $(VENV)/.unfinished && "$$found" -m venv $(VENV)

$(RUN_READY): requirements/run.txt pyproject.toml | $(PYTHON)
	$(call INSTALL,requirements/run.txt)
	@touch $@

# It holds everything that running needs, in the same versions.
$(DEV_READY): requirements/dev.txt pyproject.toml | $(PYTHON)
	$(call INSTALL,requirements/dev.txt)
	@touch $(RUN_READY) $@

$(UV_VENV)/bin/uv:
	@$(FIND_PYTHON); \
	rm -rf $(UV_VENV) && "$$found" -m venv $(UV_VENV)
	$(UV_VENV)/bin/pip install --quiet --disable-pip-version-check uv
