# All a clone needs is Python 3.11 or newer (with pip and venv) and make; everything is set up inside .venv.

VENV  := .venv
BIN   := $(VENV)/bin
FAMILIES := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))

# Hundreds of short processes are started here; where no compiled file may be kept, each compiles everything anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-browser vendor faults bench docs fuzz clean

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-12s %s\n", $$1, $$2 }'

demo: $(VENV)/.installed  ## pictures on disk in a minute, without a key: sandbox, imagine, upscale, jobs
	@$(BIN)/gen302 demo

# Tests are collected once before: pytest compiles them in words of its own, which each worker would do for itself.
test: $(VENV)/.tools  ## all checks: lint, format, types, tests with coverage, built wheels
	@echo "· ruff check"
	@$(BIN)/ruff check .
	@echo "· ruff format --check"
	@$(BIN)/ruff format --check .
	@echo "· lines of a plugin"
	@$(BIN)/python benchmarks/plugin_lines.py
	@echo "· pytest, with coverage; meanwhile mypy --strict, and the built wheels in fresh environments, sources absent"
	@$(BIN)/mypy core/src $(FAMILIES:%=%/src) tests benchmarks >$(VENV)/types.log 2>&1 & types=$$!; wheels=; \
	trap 'kill $$types $$wheels 2>/dev/null; exit 130' INT TERM; \
	$(BIN)/python -m pytest -q --collect-only >/dev/null 2>&1; \
	$(BIN)/python -m pytest -q -m wheels tests/dists >$(VENV)/wheels.log 2>&1 & wheels=$$!; \
	$(BIN)/python -m pytest -q -n 3 --dist worksteal --cov --cov-report=term; suite=$$?; \
	echo "· mypy --strict"; wait $$types; types=$$?; cat $(VENV)/types.log; \
	echo "· built wheels"; wait $$wheels; wheels=$$?; cat $(VENV)/wheels.log; \
	[ $$suite$$types$$wheels = 000 ]

bench: $(VENV)/.bench  ## what it costs, measured here: one table of ratios, a few minutes
	@$(BIN)/python -m benchmarks

test-browser: $(VENV)/.tools  ## the gallery in a real browser, the command in a real terminal (installs Debian's packages)
	@missing=; command -v chromium chromium-browser google-chrome >/dev/null || missing=chromium; \
	command -v tmux >/dev/null || missing="$$missing tmux"; \
	[ -z "$$missing" ] || { \
		echo "·$$missing, from Debian's packages" | sed 's/·\([^ ]\)/· \1/'; \
		command -v apt-get >/dev/null || { echo "There is no apt-get; install$$missing and type the same again." >&2; exit 1; }; \
		sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
		{ timeout 300 $$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive timeout 900 $$sudo apt-get install -y -qq --no-install-recommends $$missing; } \
			>$(VENV)/apt.log 2>&1 || { tail -n 12 $(VENV)/apt.log >&2; echo "They could not be installed; the last lines are above." >&2; exit 1; }; }
	@echo "· the gallery in a browser, the command in a terminal"
	@SCREENSHOT=$(CURDIR)/$(VENV)/gallery.png timeout 600 $(BIN)/python -m pytest -q -m browser tests/browser
	@echo "  what the gallery looked like: $(VENV)/gallery.png"

vendor: $(VENV)/.tools  ## 302.AI's own published clients, installed over the network, against the sandbox
	@$(BIN)/python -m pytest -q -m vendor tests/e2e/test_vendor_clients.py

$(VENV)/.bench: $(VENV)/.tools requirements/bench.txt
	$(call pip,-r requirements/bench.txt)
	@touch $@

docs: $(VENV)/.tools  ## write the reference pages anew, from the help and the schema, and build the site
	@$(BIN)/python docs/reference.py
	@$(BIN)/python -m sphinx -q -W --keep-going -n -b html -c docs . $(VENV)/site
	@echo "  $(VENV)/site/docs/index.html"

faults: $(VENV)/.tools  ## prove it: the fault matrix, every crash point, hundreds of random kills; writes docs/reliability.md
	@$(BIN)/python -m tests.faults docs/reliability.md

FUZZ_SECONDS ?= 60

fuzz: $(VENV)/.fuzz  ## hostile replies, mutated towards code not yet reached (FUZZ_SECONDS=60)
	@mkdir -p $(VENV)/fuzz
	@timeout $$(($(FUZZ_SECONDS) + 120)) $(BIN)/python -m tests.faults.fuzz $(VENV)/fuzz \
		-max_total_time=$(FUZZ_SECONDS) -max_len=4096 -len_control=0 -artifact_prefix=$(CURDIR)/$(VENV)/fuzz- -print_final_stats=1

clean:  ## remove everything that was set up or produced here
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* htmlcov gen302-demo
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# $(call pip,ARGUMENTS): quiet; a failure shows pip's last lines and what to look at. A password in the index's address is not shown.
# What nobody imports is not compiled.
define pip
@$(BIN)/python -m pip install --disable-pip-version-check --no-input --no-compile $(1) >$(VENV)/pip.log 2>&1 || { \
	tail -n 12 $(VENV)/pip.log >&2; \
	index=$$($(BIN)/python -m pip config list 2>/dev/null | sed -n "s/^[^=]*index-url='\{0,1\}\([^']*\).*/\1/p" | sed 's#//[^/@]*@#//***@#' | paste -sd " " -); \
	echo "pip could not install what is needed here (its last lines are above, all of them in $(VENV)/pip.log)." >&2; \
	echo "Is there a network? The index asked: $${index:-pip's default}. Then type the same again." >&2; \
	exit 1; }
endef

# The pip beside this Python installs the new one: making the old one first takes longer than all the rest of it.
$(VENV)/.made:
	@chosen=; found=; \
	for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
		version=$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue; \
		found="$$found $$python ($$version)"; \
		$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || continue; \
		chosen=$$python; \
		$$python -c 'import venv, ensurepip' 2>/dev/null && break; \
	done; \
	if [ -z "$$chosen" ]; then \
		echo "Python 3.11 or newer is needed; found:$${found:- none}. Name another with: make PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	if ! $$chosen -c 'import venv, ensurepip' 2>/dev/null; then \
		echo "$$chosen has no venv module; install it (on Debian and Ubuntu: apt install python3-venv) and type the same again." >&2; exit 1; \
	fi; \
	echo "· an environment in $(VENV), with $$($$chosen --version)"; \
	rm -rf $(VENV); \
	$$chosen -m venv --without-pip $(VENV); \
	$$chosen -m pip --python $(VENV) install -q --no-input --no-compile --retries 0 "$$(grep ^pip== requirements/build.txt)" >/dev/null 2>&1 \
		|| $(BIN)/python -m ensurepip >/dev/null
	@touch $@

$(VENV)/.build: $(VENV)/.made requirements/build.txt
	$(call pip,-r requirements/build.txt)
	@touch $@

# Core and families in one command, so that each finds the others in these folders and never on an index.
CLONE := --no-build-isolation -e "./core[all]" $(FAMILIES:%=-e ./%)
TABLES := core/pyproject.toml $(FAMILIES:%=%/pyproject.toml)

$(VENV)/.installed: $(VENV)/.build $(TABLES)
	@echo "· ai302-core and its families ($(notdir $(FAMILIES))), from this clone"
	$(call pip,$(CLONE))
	@touch $@

# The tools with them: what both need is looked up once.
$(VENV)/.tools: $(VENV)/.build $(TABLES) requirements/dev.txt requirements/docs.txt
	@echo "· ai302-core and its families ($(notdir $(FAMILIES))), from this clone; the tools of requirements/dev.txt and docs.txt"
	$(call pip,$(CLONE) -r requirements/dev.txt -r requirements/docs.txt)
	@touch $(VENV)/.installed $@

$(VENV)/.fuzz: $(VENV)/.tools requirements/fuzz.txt
	@echo "· the tools of requirements/fuzz.txt"
	$(call pip,-r requirements/fuzz.txt)
	@touch $@
