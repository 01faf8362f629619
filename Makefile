# `make` or `make help` lists what there is to do. Needs: pip install -e '.[dev]'
PYTHON ?= python
PROGRAMS = python .ci tests bench examples

.DEFAULT_GOAL := help
.PHONY: help test test-15 test-16 test-18 lint format types freeze land migrations sql-rules sql-reference check dist ci

help: ## this list
	@grep -E '^[a-z0-9 -]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9 -]+):.*## /\1\t/' | expand -t 24

test: ## the tests, on an installed PostgreSQL or the wheel's
	$(PYTHON) -m pytest -q

test-15 test-16 test-18: ## the tests on this PostgreSQL version
	ROWQUEUE_TEST_PG=$(@:test-%=%) $(PYTHON) -m pytest -q

lint: ## ruff: rules and format
	$(PYTHON) -m ruff check $(PROGRAMS) && $(PYTHON) -m ruff format --check $(PROGRAMS)

format: ## ruff: mend what it can
	$(PYTHON) -m ruff check --fix $(PROGRAMS); $(PYTHON) -m ruff format $(PROGRAMS)

types: ## mypy, strict
	$(PYTHON) -m mypy

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
