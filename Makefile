# Every target sets itself up: needs Python 3.11 to 3.13, make and git; no root, nothing global.
SHELL := /bin/bash
# An environment may forbid byte code; without it every start of TensorFlow takes 2.6 times as long.
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONPATH

PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3 python; do \
	$$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$name && break; done)
PY := .venv/bin/python

.PHONY: help demo demo-audio demo-music up backup restore test soak fuzz lint types bench requirements clean
.DEFAULT_GOAL := help

help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

demo: .venv/run ## Train on real scores, judge, score what was held out: a few minutes, most of them installing
	@$(PY) -m examples.demo

demo-audio: .venv/run ## Make music, have it heard, learn its styles, find what is alike, write its notes down
	@$(PY) -m examples.demo_audio

demo-music: .venv/music ## Learn from Bach's chorales, harmonise a melody, compose one anew, tell what was copied
	@$(PY) -m examples.demo_music

up: .venv/run ## Start the whole service, until Ctrl-C
	@$(PY) -m shared.up

backup: .venv/run ## Save database and files in TO=folder, their keys in KEYS=folder, while everything runs
	@test -n "$(TO)" || { echo "Say where to save: make backup TO=folder" >&2; exit 1; }
	@$(PY) -m shared.backup save "$(TO)" $(if $(KEYS),--keys "$(KEYS)")

restore: .venv/run ## Put what is saved in FROM=folder into a database and a storage that are empty
	@test -n "$(FROM)" || { echo "Say what to restore: make restore FROM=folder" >&2; exit 1; }
	@$(PY) -m shared.backup restore "$(FROM)" $(if $(KEYS),--keys "$(KEYS)")

# Much of a test is waiting: three at once keep two processors busy. The tests of a file stay together, and the longest
# files come first (tests/longest.py). What fails beside others is tried once more alone, and named: a process that had
# to wait for its turn may have missed a limit.
test: .venv/dev ## Run every test, AT_ONCE=3 side by side, with a real Redis, PostgreSQL and worker processes
	@$(PY) -m pytest -n $(or $(AT_ONCE),3) --dist loadfile --no-loadscope-reorder || { [ $$? = 1 ] && \
		echo "These failed beside others; each once more, alone." && $(PY) -m pytest -v --last-failed --last-failed-no-failures none; }

soak: .venv/dev ## Kill workers, Redis and the scheduler for MINUTES=10, on both databases; writes docs/soak.md
	@$(PY) -m tests.faults --minutes $(or $(MINUTES),10)

fuzz: .venv/fuzz ## Try nearly good files, bodies and calls for MINUTES=10, from SEED if given; what is found is kept in fuzz/
	@$(PY) -m tests.fuzz --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

lint: .venv/dev ## Check style and who imports whom
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/lint-imports

types: .venv/dev ## Check types, strictly
	@.venv/bin/mypy

bench: .venv/dev ## Measure against named peers in the same run; writes bench/RESULTS.md
	@$(PY) -m bench

requirements: ## Resolve the hash-pinned lists again (maintainers; needs uv)
	@for group in web cpu gpu run dev; do \
		name=$$group; [ $$group = cpu ] && name=worker-cpu; [ $$group = gpu ] && name=worker-gpu; \
		uv pip compile --group $$group --universal --generate-hashes --no-header --no-annotate \
			--python-version 3.11 -o requirements/$$name.txt -q || exit 1; done
	uv pip compile --group traces -c requirements/dev.txt --universal --generate-hashes --no-header --no-annotate \
		--python-version 3.11 -o requirements/traces.txt -q
	@for group in pretrained accounting music fuzz; do \
		uv pip compile --group $$group --no-deps --universal --generate-hashes --no-header --no-annotate \
			--python-version 3.11 -o requirements/$$group.txt -q || exit 1; done

clean: ## Remove the environment and the local data
	rm -rf .venv .etude

.venv/pyvenv.cfg:
	@test -n "$(PYTHON)" || { echo "Etude needs Python 3.11, 3.12 or 3.13; none was found on PATH. Set PYTHON=/path/to/python." >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/run: requirements/run.txt requirements/pretrained.txt requirements/accounting.txt client/pyproject.toml .venv/pyvenv.cfg
	$(PY) -m pip install --quiet --disable-pip-version-check --compile --require-hashes -r requirements/run.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/pretrained.txt -r requirements/accounting.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable ./client
	@touch $@

.venv/music: requirements/music.txt .venv/run
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/music.txt
	@touch $@

.venv/traces: requirements/traces.txt .venv/run
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/traces.txt
	@touch $@

.venv/fuzz: requirements/fuzz.txt .venv/dev
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r requirements/fuzz.txt
	@touch $@

.venv/dev: requirements/dev.txt requirements/pretrained.txt requirements/accounting.txt client/pyproject.toml .venv/pyvenv.cfg
	$(PY) -m pip install --quiet --disable-pip-version-check --compile --require-hashes -r requirements/dev.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/pretrained.txt -r requirements/accounting.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable ./client
	@touch $@ .venv/run
