# `make` or `make help` lists what there is to do. Needs: pip install -e '.[dev]'
PYTHON ?= python
PROGRAMS = python .ci tests bench examples

.DEFAULT_GOAL := help
.PHONY: help test test-15 test-16 test-18 interleavings deadlocks mutants lint format types torture failover test-pooler input analyse freeze land migrations sql-rules sql-reference check dist ci

help: ## this list
	@grep -E '^[a-z0-9 -]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9 -]+):.*## /\1\t/' | expand -t 24

test: ## the tests, on an installed PostgreSQL or the wheel's
	$(PYTHON) -m pytest -q

test-15 test-16 test-18: ## the tests on this PostgreSQL version
	ROWQUEUE_TEST_PG=$(@:test-%=%) $(PYTHON) -m pytest -q

test-pooler: ## the tests through PgBouncer in transaction mode
	ROWQUEUE_TEST_POOLER=1 $(PYTHON) -m pytest -q

N ?= 1000000
SEED ?= 1
PART ?= 1/1
KINDS ?= token,status,lock,skip locked,order,revoke,pg_temp

interleavings: ## N=1000000 SEED=1: random interleavings of two to four sessions, against a model
	PYTHONPATH=tests $(PYTHON) -m model.interleavings $(N) --seed $(SEED)

deadlocks: ## N=1000000: batch calls on the same jobs with their ids in random order
	PYTHONPATH=tests $(PYTHON) -m races.batches $(N)

mutants: ## PART=1/4 KINDS=token,lock: the SQL with one guard taken out at a time, against the tests
	PYTHONPATH=tests $(PYTHON) -m mutants.command --part $(PART) --kinds "$(KINDS)"

lint: ## ruff: rules and format
	$(PYTHON) -m ruff check $(PROGRAMS) && $(PYTHON) -m ruff format --check $(PROGRAMS)

format: ## ruff: mend what it can
	$(PYTHON) -m ruff check --fix $(PROGRAMS); $(PYTHON) -m ruff format $(PROGRAMS)

types: ## mypy, strict
	$(PYTHON) -m mypy

torture: ## a run under faults, judged: JOBS=1000000 SEED=1 FAULTS=all PG=18 OUT=folder
	PYTHONPATH=tests:$$PYTHONPATH $(PYTHON) -m torture $(if $(JOBS),--jobs $(JOBS)) $(if $(SEED),--seed $(SEED)) \
		$(if $(FAULTS),--faults $(FAULTS)) $(if $(PG),--pg $(PG)) $(if $(OUT),--out $(OUT))

failover: ## kill -9 of the primary again and again: N=50, ASYNC=1 for an asynchronous standby
	PYTHONPATH=tests:$$PYTHONPATH $(PYTHON) -m servers.failover $(if $(N),--promotions $(N)) $(if $(ASYNC),--asynchronous)

input: ## hostile calls of every function, a million: N=1000000 SEED=1 SECONDS=100
	PYTHONPATH=tests:$$PYTHONPATH $(PYTHON) -m input --calls $(N) --seed $(SEED) $(if $(SECONDS),--seconds $(SECONDS))

analyse: ## others' tools: plpgsql_check, pgspot, squawk, pip-audit (TOOLS=folder keeps them)
	PYTHONPATH=.ci:$$PYTHONPATH $(PYTHON) -m analysis $(if $(TOOLS),--tools $(TOOLS))

freeze: ## NAME=add_tags: write or rewrite the migration with what changed in sql/
	$(PYTHON) .ci/freeze.py $(NAME)

land: ## declare the newest migration final (when it goes to main)
	$(PYTHON) .ci/freeze.py --land

migrations: ## landed ones untouched, copies fresh, migrating equals installing
	$(PYTHON) .ci/check_migrations.py

sql-rules: ## the layout rules of sql/
	$(PYTHON) .ci/sql_rules.py

sql-reference: ## write docs/sql-reference.md from the catalogue
	$(PYTHON) .ci/sql_reference.py

check: lint types sql-rules migrations ## all checks but the tests
	$(PYTHON) .ci/sql_reference.py --check

dist: ## wheel and sdist in dist/
	$(PYTHON) -m build --outdir dist .

ci: ## what CI runs, in a venv of its own
	.ci/run
