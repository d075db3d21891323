# `make` alone shows what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

VENV := .venv
PY := $(VENV)/bin/python
CONSTRAINTS := constraints/default.txt
CONFIG := conf/local.yaml
DEMO_DATA := data/demo
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && { echo $$p; break; }; done)

.PHONY: help
help: ## this list
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  make %-16s %s\n", $$1, $$2}'

$(VENV)/.installed: pyproject.toml $(CONSTRAINTS)
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or 3.12 was not found: install one, or say make PYTHON=/its/path" >&2; exit 1; fi
	@echo "Installing into $(VENV) with $(PYTHON); a few minutes"
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) --editable '.[dev]'
	@$(MAKE) --no-print-directory java
	@$(PY) -c 'from tandemrec.config.root import SparkSettings; from tandemrec.engines.spark import build_session; build_session(SparkSettings()).stop()'
	@touch $@

.PHONY: install
install: $(VENV)/.installed ## .venv with everything, at the verified versions

.PHONY: java
java:
	@$(PY) -m tandemrec.engines.java >/dev/null 2>&1 \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "Installing OpenJDK 17 with apt-get" \
	     && apt-get update -qq && apt-get install -y -qq openjdk-17-jre-headless >/dev/null; } \
	|| true
	@$(PY) -m tandemrec.engines.java >/dev/null

$(DEMO_DATA)/planted.json: | $(VENV)/.installed
	@$(VENV)/bin/tandemrec sample --out $(DEMO_DATA)

.PHONY: demo
demo: $(VENV)/.installed $(DEMO_DATA)/planted.json ## the whole pipeline on sample data, and its report
	@$(VENV)/bin/tandemrec run --config $(CONFIG)
	@$(VENV)/bin/tandemrec summary --config $(CONFIG)

.PHONY: check
check: $(VENV)/.installed ## format, lint, types and one-way imports
	@$(VENV)/bin/ruff format --check --quiet .
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-cache

.PHONY: test
test: check ## checks and tests, the fast ones; make test-all adds the slow
	@$(PY) -m pytest --numprocesses 2 --dist loadscope --no-loadscope-reorder -m "not slow"

.PHONY: test-all
test-all: check ## the slow tests too
	@$(PY) -m pytest

.PHONY: format
format: $(VENV)/.installed ## put the code into the project's format
	@$(VENV)/bin/ruff format --quiet .
	@$(VENV)/bin/ruff check --fix --quiet .

.PHONY: docs
docs: $(VENV)/.installed ## docs/tables.md and docs/settings.md, from the contracts of tables and the settings
	@$(PY) -m tandemrec.lake.describe > docs/tables.md
	@$(PY) -m tandemrec.config.describe > docs/settings.md

.PHONY: wheel
wheel: $(VENV)/.installed ## dist/*.whl: the library and the job entry points
	@$(PY) -m pip wheel --quiet --no-deps --wheel-dir dist .
	@ls dist/*.whl

.PHONY: constraints
constraints: ## constraints/default.txt anew, from the newest versions that fit
	@rm -rf build/newest && $(PYTHON) -m venv build/newest
	@build/newest/bin/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@{ echo "# Verified together on $$(build/newest/bin/python -V) and $$(uname -s), $$(date +%F): what make install takes." \
	         "Renew with: make constraints"; build/newest/bin/pip freeze --exclude-editable; } > $(CONSTRAINTS)
	@git --no-pager diff --stat -- $(CONSTRAINTS)

.PHONY: bench-demo
bench-demo: $(VENV)/.installed $(DEMO_DATA)/planted.json ## seconds and peak memory of each stage of the demo
	@$(PY) bench/demo.py

.PHONY: bench-encode
bench-encode: $(VENV)/.installed ## the encoder against the textbook and sentence-transformers, on real reviews
	@$(PY) bench/encode.py

.PHONY: bench-embed-memory
bench-embed-memory: $(VENV)/.installed ## peak memory of embed at 10 thousand, 100 thousand and a million texts
	@$(PY) bench/embed_memory.py

.PHONY: bench-census
bench-census: $(VENV)/.installed ## one joint model of the census tasks beside LightGBM (DATA=folder of census-income.data and .test)
	@$(PY) bench/census.py --data $(DATA)

.PHONY: bench-ratings
bench-ratings: $(VENV)/.installed ## stars of musical instruments on a random split, jointly and alone (DATA=folder of the data sets)
	@$(PY) bench/ratings.py --data $(DATA)/amazon_musical_instruments_2014_5core

.PHONY: bench-text
bench-text: $(VENV)/.installed ## what each way to read reviews tells, on real ones (DATA=folder of the data sets); hours on two cores
	@$(PY) bench/text.py --data $(DATA)

.PHONY: bench-finetune
bench-finetune: $(VENV)/.installed ## the encoder's last layer learned along against frozen vectors, in five folds (DATA=folder of the data sets)
	@$(PY) bench/finetune.py --data $(DATA)

.PHONY: bench-augment
bench-augment: $(VENV)/.installed ## what mixed and made texts give by number of training rows (DATA=folder of the data sets); an hour
	@$(PY) bench/augment.py --data $(DATA)

ROWS := 1000000 5000000 20000000

.PHONY: bench-spark
bench-spark: $(VENV)/.installed ## how ingest, clean and examples grow; clean against others (ROWS="1000000 2000000": smaller)
	@$(PY) bench/spark.py --rows $(ROWS)

.PHONY: clean
clean: ## remove what was built here: data, lake, reports, caches (not .venv)
	@rm -rf data lake reports dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
