# Every target sets up its own environment in .venv first; nothing else is needed.
#   make demo PYTHON=python3.12     another interpreter (3.11 or newer)
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make demo     small CPU-only torch

PYTHON ?= python3
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

venv := .venv
bin := $(venv)/bin
stamp := $(venv)/.installed
tools := $(venv)/.tools
peers := $(venv)/.peers
site := $(venv)/.site
browsing := $(venv)/.browsing
pip := $(bin)/python -m pip --disable-pip-version-check -qq
pins := -c constraints.txt --build-constraint constraints.txt
hashes := --require-hashes --no-deps --build-constraint requirements.lock
# nflows asks for tensorboard, which nothing of it that is used here imports; CUDA libraries come
# with the builds of torch that need them.
unlocked := tensorboard cuda-bindings cuda-toolkit triton nvidia-cudnn-cu13 \
  nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvshmem-cu13
without_torch = --no-emit-package torch --excludes <(printf '%s\n' $(unlocked))
locking = build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 \
  -c constraints.txt --generate-hashes --no-annotate --custom-compile-command 'make lock'

.PHONY: help demo test browser fire calibration gauntlet fuzz bench studies arena gpu docs lint lock clean

help:
	@echo "make demo         train, fit, test and report on simulated Z -> mu mu events (demo-report/)"
	@echo "make test         the test suite, a few minutes"
	@echo "make browser      every page in a real Chromium; pictures of them in build/browser"
	@echo "make fire         every fault (kills, full disks, ...) with every executor, five minutes"
	@echo "make calibration  statistical claims against many pseudo-experiments, long"
	@echo "make gauntlet     every p-value and interval where the null is true, an hour; ARGS=--quick"
	@echo "make fuzz         100 000 damaged files and odd values to every reader, ARGS='--inputs 9000'"
	@echo "make bench        timings beside peers, and the page of them; ONLY='ensemble_speed growth'"
	@echo "make studies      the papers' experiments again, an hour, and their pages; ARGS='--size full'"
	@echo "make arena        every measure of two samples ranked by size and power, half an hour"
	@echo "make gpu          checks and benchmarks that need a CUDA device"
	@echo "make docs         the documentation site with executed notebooks (build/docs/html)"
	@echo "make lint         ruff and mypy"
	@echo "make lock         hashes of the versions in constraints.txt (requirements*.lock)"
	@echo "make clean        remove the environment and everything that was made"

demo: $(stamp)
	@$(bin)/verisimile demo --out demo-report

# A worker per core; each with one thread of its own, so that they do not crowd each other out.
test: $(tools)
	@OMP_NUM_THREADS=1 $(bin)/python -m pytest -m "not calibration and not fire and not browser" -n auto --dist worksteal

# One process: the pages are made once, and looked at on every medium.  CHROMIUM=/path/to/chromium
# takes another than the system's.
browser: $(browsing)
	@OMP_NUM_THREADS=1 $(bin)/python -m pytest tests/browser -m browser

# Every fault with every executor; `make test` meets them with some.
fire: $(tools)
	@OMP_NUM_THREADS=1 $(bin)/python -m pytest tests -m fire -n auto --dist worksteal

calibration: $(tools)
	@$(bin)/python -m pytest -m calibration

# Finished pseudo-experiments stay in build/gauntlet: the same command goes on where it stopped.
gauntlet: $(tools)
	@cd tests && ../$(bin)/python -m gauntlet --page ../docs/where-it-holds.md $(ARGS)

# Finished inputs stay in build/fuzz, as do the files of those that had a fault.
fuzz: $(tools)
	@cd tests && ../$(bin)/python -m fuzz --inputs 100000 --seed 1 $(ARGS)

# Each benchmark's output is kept in benchmarks/results; docs/measured.md is made of them.
bench: $(peers)
	@$(bin)/python benchmarks/_page.py $(ONLY)

# Finished studies stay in build/studies: the same command goes on where it stopped.
studies: $(tools)
	@cd benchmarks && ../$(bin)/python -m published $(ARGS)

# Answers stay in build/arena: the same command goes on where it stopped.
arena: $(peers)
	@cd benchmarks && ../$(bin)/python -m arena $(ARGS)

# Every check and benchmark that needs a CUDA device, in at most eight minutes.
gpu: $(tools)
	@$(bin)/python -m pytest -m gpu -q
	@$(bin)/python benchmarks/ensemble_speed.py --device cuda

# Every warning is an error, every link is followed; a notebook is run again if it or the package
# has changed.
docs: $(site)
	@$(bin)/python -m sphinx -n -W --keep-going -q -a docs build/docs/html
	@$(bin)/python docs/building/links.py build/docs/html
	@$(bin)/python -m doctest $$(grep -l '^>>> ' docs/*.md)
	@echo "build/docs/html/index.html"

lint: $(tools)
	@$(bin)/ruff check
	@$(bin)/ruff format --check
	@$(bin)/mypy

clean:
	@rm -rf $(venv) build dist demo-report docs/reference docs/notebooks .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# After a change of pyproject.toml's dependencies or of constraints.txt.  Hashes are those of every
# file that the index has of a version, so that one lock serves all platforms.
lock:
	@$(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip --disable-pip-version-check -qq install -c constraints.txt uv
	@$(locking) pyproject.toml --extra all --group setup $(without_torch) -o requirements.lock
	@$(locking) --group test --group lint $(without_torch) -o requirements-tools.lock

# pip itself comes first: build constraints with hashes need a recent one.  Every file that is then
# installed or built with has one of the hashes of the lock, but for torch and what CUDA builds of
# it bring: its index is the user's choice (CPU, CUDA, a cluster's own build), and each has other
# files under the same version.  A step that fails keeps what the steps before it installed.
$(stamp): pyproject.toml constraints.txt requirements.lock $(wildcard src/native/*)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "verisimile needs Python 3.11 or newer; try: make PYTHON=python3.12" >&2; exit 1; }
	@echo "Setting up $(venv) (a few minutes the first time) ..."
	@$(PYTHON) -m venv $(venv)
	@$(pip) install --require-hashes -r <(awk '/^[a-z]/ {pip = /^pip==/} pip' requirements.lock)
	@echo "  libraries ..."
	@$(pip) install $(hashes) -r requirements.lock
	@echo "  torch ..."
	@$(pip) install $(pins) --no-warn-conflicts torch
	@echo "  verisimile ..."
	@$(pip) install --no-deps --build-constraint requirements.lock -e .
	@touch $@
	@echo "  ready"

# What tests and checks need, and the demo does not.
$(tools): $(stamp) requirements-tools.lock
	@echo "  the tools of tests and checks ..."
	@$(pip) install $(hashes) -r requirements-tools.lock
	@touch $@

# What the documentation is built with, and what its notebooks import.
$(site): $(tools)
	@echo "  the documentation's tools ..."
	@$(pip) install $(pins) --group docs
	@touch $@

# Playwright's own Chromium where there is no other.
$(browsing): $(tools)
	@echo "  a browser ..."
	@$(pip) install $(pins) --group browser
	@test -n "$${CHROMIUM:-}" || command -v chromium chromium-browser google-chrome > /dev/null \
	  || $(bin)/playwright install chromium
	@touch $@

# What the benchmarks are compared with: dozens of packages that nothing else needs.
$(peers): $(tools)
	@echo "  the benchmarks' peers ..."
	@$(pip) install $(pins) --group bench
	@touch $@
