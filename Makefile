# Every verb of the project. Each installs what it needs; see CONTRIBUTING.md.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo serve test lint format fuzz soak bench bench-growth bench-smoke docs wheel develop fresh clean

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Start a Flask application, request its pages, show what the cache did
	@tools/demo

serve: ## Open the laboratory: one application on Flask-Caching and on this, side by side (PORT=8000)
	@tools/demo --serve $(or $(PORT),8000)

test: ## Run every test: Rust, then Python on the oldest and newest CPython and Flask (ARGS="-k view")
	@tools/test $(ARGS)

lint: ## Run every static check
	@tools/lint

format: ## Format Rust and Python
	@tools/format

fuzz: ## Fuzz what reads foreign bytes, each target for SECONDS=60 (TARGETS="redis_replies file_entry")
	@SECONDS_EACH=$(or $(SECONDS),60) tools/fuzz $(TARGETS)

soak: ## Let threads and processes do at random what they may, on each backend and in models (SECONDS=60)
	@SECONDS_EACH=$(or $(SECONDS),60) tools/soak $(ARGS)

bench: ## Compare with Flask-Caching, question by question (JSON=path)
	@tools/bench compare $(if $(JSON),--json "$(JSON)")

bench-growth: ## Ask how cost grows with entries, threads, sizes and thresholds (JSON=path)
	@tools/bench growth $(if $(JSON),--json "$(JSON)")

bench-smoke: ## Run every benchmark once, to see that it runs
	@tools/bench smoke

docs: ## Build the documentation into docs/_build/html
	@tools/docs

wheel: ## Build wheel and source distribution into dist/, and try both in empty environments
	@tools/wheel --sdist

develop: ## Install the package into .venv in editable form
	@tools/develop

fresh: ## Try all other verbs as on a machine where pip may compile nothing but this package
	@tools/fresh

clean: ## Remove everything that was built
	rm -rf target dist .venv .venv-* .cache docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find python -name '*.so' -delete
