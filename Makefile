# The commands of this repository. Python 3.11 or 3.12 is all that must be there: make report PYTHON=python3.12
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
comma := ,
PIP := $(BIN)/python -m pip
LOCAL_RUN := runs/quick
LOCAL_REPORT := reports/local
# A published run lies in a folder of its own for each machine: make published MACHINE=name
MACHINE ?= $(shell uname -n)
SOURCES := $(shell find capratio benchmarks/cases -name '*.py' -o -name '*.toml' -o -path 'capratio/report/templates/*' \
    -o -path 'capratio/gate/starter_files/*')

.PHONY: help report test check published kernels systems experts figures asv gate benchmark clean

help:  ## Say what the targets do
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

report: $(VENV)/installed  ## Measure the quick cases on this machine and write reports/local/index.html
	@# An interrupted run goes on; one that is finished, or that another content or machine began (2), makes way for a new one.
	@if [ -e $(LOCAL_RUN).finished ]; then rm -rf $(LOCAL_RUN) $(LOCAL_RUN).finished; fi
	@mkdir -p $(dir $(LOCAL_RUN))
	$(BIN)/capratio sweep quick --out $(LOCAL_RUN) || \
	    { [ $$? -eq 2 ] && rm -rf $(LOCAL_RUN) && $(BIN)/capratio sweep quick --out $(LOCAL_RUN); }
	@$(BIN)/capratio report $(LOCAL_RUN) --out $(LOCAL_REPORT) --made-by 'make report'
	@# A broken law (1) is an answer, and the page shows it.
	@$(BIN)/capratio verdict $(LOCAL_RUN) || [ $$? -eq 1 ]
	@touch $(LOCAL_RUN).finished
	@echo "The page: $(LOCAL_REPORT)/index.html"

test: $(VENV)/installed-test  ## Install what the tests need and run them
	@# Files side by side, the tests of one file in one process; in the order of their names, since the slowest files have
	@# few tests, and would begin last by the number of these.
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(VENV)/installed-check  ## Format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

published: $(VENV)/installed  ## Measure tree, routing and threads in full (under 2 hours) and write reports/MACHINE; DEVICE=cuda on a GPU
	$(BIN)/capratio sweep tree routing threads $(if $(DEVICE),--device $(DEVICE)) --out runs/published
	$(BIN)/capratio report runs/published --out reports/$(MACHINE) --made-by 'make published MACHINE=$(MACHINE)$(if $(DEVICE), DEVICE=$(DEVICE))'
	$(BIN)/capratio verdict runs/published || [ $$? -eq 1 ]

# What is measured on a GPU has a case file of its own: tables of bfloat16, and batches that fill such a device.
KERNEL_CASES := $(if $(filter cuda,$(DEVICE)),hopper,kernels peers)
kernels: $(VENV)/installed-peers  ## Measure our kernels beside their peers (under 2 hours) and write reports/MACHINE-kernels; DEVICE=cuda on a GPU
	$(BIN)/capratio sweep $(KERNEL_CASES) --out runs/kernels
	$(BIN)/capratio report runs/kernels --out reports/$(MACHINE)-kernels --made-by 'make kernels MACHINE=$(MACHINE)$(if $(DEVICE), DEVICE=$(DEVICE))'
	$(BIN)/capratio verdict runs/kernels || [ $$? -eq 1 ]

SYSTEM_CASES := $(if $(filter cuda,$(DEVICE)),hopper_systems,systems)
systems: $(VENV)/installed  ## Measure every system at equal active FLOP (1 to 1.5 hours) and write reports/MACHINE-systems; DEVICE=cuda on a GPU
	$(BIN)/capratio sweep $(SYSTEM_CASES) $(if $(DEVICE),--device $(DEVICE)) --out runs/systems
	$(BIN)/capratio report runs/systems --out reports/$(MACHINE)-systems --made-by 'make systems MACHINE=$(MACHINE)$(if $(DEVICE), DEVICE=$(DEVICE))'
	$(BIN)/capratio verdict runs/systems || [ $$? -eq 1 ]

# Their peers lie in benchmarks/, which is no package of the wheel.
experts: $(VENV)/installed-peers  ## Measure experts, looked-up rows and live blocks beside their peers and write reports/MACHINE-experts
	PYTHONPATH=$(CURDIR) $(BIN)/capratio sweep experts $(if $(DEVICE),--device $(DEVICE)) --out runs/experts
	$(BIN)/capratio report runs/experts --out reports/$(MACHINE)-experts --made-by 'make experts MACHINE=$(MACHINE)$(if $(DEVICE), DEVICE=$(DEVICE))'
	$(BIN)/capratio verdict runs/experts || [ $$? -eq 1 ]

# The longest two go on where they were stopped. To publish: FIGURES=reports/figures-in-kind, and the command on its page.
FIGURES ?= runs/figures
figures: $(VENV)/installed-test  ## Make the figures of papers again, in kind (20 minutes on quiet cores, over an hour on busy ones) in runs/figures
	@for name in active_parameters moe_dropped_tokens block_policy_digits block_sparse_speedup moe_balance; do \
	    echo "$$name:"; PYTHONPATH=$(CURDIR) $(BIN)/python -m benchmarks.$$name --out $(FIGURES)/$$name.json || exit $$?; \
	done

# Commits that asv measures, counted back from the one that is checked out.
COMMITS ?= 5
# pip makes asv's environment: of the tested versions, and torch stays from one commit to the next.
asv: $(VENV)/installed-asv  ## Measure the last COMMITS commits under asv, and publish their history as .asv/html
	$(BIN)/python benchmarks/asv_machine.py
	PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(BIN)/asv run --skip-existing-successful --show-stderr HEAD~$(COMMITS)..HEAD
	$(BIN)/asv publish
	@echo "The site is in .asv/html; look at it with $(BIN)/asv preview"

# The commit that the working tree, or HEAD=, is held against, and further options: make gate BASE=v1.0 GATE='--strict'
BASE ?= main
# make stops on what is no pass, and shows the gate's exit code: Error 1 regressed, 4 void (docs/gate.md).
gate: $(VENV)/installed-asv  ## Hold the working tree against BASE=main, and write reports/local/gate.html
	@mkdir -p $(LOCAL_REPORT)
	$(BIN)/capratio gate '$(BASE)' $(if $(HEAD),'$(HEAD)') --html $(LOCAL_REPORT)/gate.html --markdown $(LOCAL_REPORT)/gate.md $(GATE)

benchmark: $(VENV)/installed-test  ## Time the answers of --help, and whether thread pools slow one another down
	$(BIN)/python benchmarks/help_time.py
	$(BIN)/python benchmarks/thread_pools.py

clean:  ## Remove what these targets made, but no run and no report
	rm -rf $(VENV) build dist capratio.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage

$(BIN)/python:
	@$(PYTHON) -c 'import sys; ok = sys.version_info >= (3, 11); sys.exit(None if ok else f"{sys.executable} is Python {sys.version.split()[0]}; capratio needs 3.11 or later: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

# build/ keeps files of older sources, which setuptools would pack again.
define install
@rm -rf build capratio.egg-info
$(PIP) install --quiet -c constraints.txt '$(1)'
@rm -rf build capratio.egg-info
@touch $@
endef

$(VENV)/installed: $(BIN)/python pyproject.toml constraints.txt $(SOURCES)
	$(call install,.)

$(VENV)/installed-peers: $(BIN)/python pyproject.toml constraints.txt $(SOURCES)
	$(call install,.[peers])

$(VENV)/installed-asv: $(BIN)/python pyproject.toml constraints.txt $(SOURCES)
	$(call install,.[asv])

$(VENV)/installed-test: $(BIN)/python pyproject.toml constraints.txt
	$(call install,.[test])

$(VENV)/installed-check: $(BIN)/python pyproject.toml constraints.txt
	$(call install,.[test$(comma)dev])
