# Bare `make` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv/bin
VITALOPS := $(VENV)/vitalops
PYTEST := $(VENV)/python -m pytest

.PHONY: help setup demo stop test lint unit cluster rehearse bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make .venv with what uv.lock pins
	@scripts/setup

demo: setup ## two regions, the platform on them, and a verified consultation through it
	@scripts/can-run-regions
	@$(VITALOPS) --yes up
	@$(VITALOPS) verify
	@echo
	@echo "The platform goes on running. Look around:   $(VITALOPS) status"
	@echo "What on-call sees:                           $(VITALOPS) watch"
	@echo "Another consultation:                        $(VITALOPS) verify"
	@echo "Stop it (its data is kept):                  make stop"

stop: setup ## stop the platform's regions and edge; data is kept
	@$(VITALOPS) regions stop

test: lint unit cluster ## everything that CI runs

lint: setup ## format, lint, types, import contracts
	@$(VENV)/ruff format --check .
	@$(VENV)/ruff check .
	@$(VENV)/lint-imports --no-cache
	@$(VENV)/pyright

unit: setup ## unit tests: no root, no network
	@$(PYTEST) tests/unit -q -n auto

cluster: setup ## tests on two real local regions; needs Linux and root
	@scripts/can-run-regions
	@$(PYTEST) tests/cluster -v -m "not rehearsal"

rehearse: setup ## rehearse every runbook, lose regions and kill runners on the local platform
	@scripts/can-run-regions
	@$(PYTEST) tests/cluster -v -m rehearsal

bench: setup ## measure the figures and write bench/results.json
	@scripts/can-run-regions
	@$(VENV)/python -m bench

clean: ## remove .venv and caches in this folder
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis
