# Copyright (c) 2026, VectorOps contributors
# SPDX-License-Identifier: GPL-3.0-or-later

ARGS ?=
# How many tests at a time: each has servers of its own, and mostly waits for them.
WORKERS ?= 2
BENCH ?=
SCENARIO ?=
# Ansible asks for UTF-8.
export LC_ALL := C.UTF-8

# tools/setup prints the path of the virtual environment that it made or found. By exec the program takes the shell's
# place, so that a signal that make passes on reaches it.
define in_venv
venv=$$(tools/setup $(1)) && exec env PATH="$$venv/bin:$$PATH" PYTHONPATH="$(CURDIR):$(CURDIR)/build/collections" \
	ANSIBLE_COLLECTIONS_PATH="$(CURDIR)/build/collections" "$$venv/bin/python"
endef

.DEFAULT_GOAL := help
.PHONY: help demo drill test lint molecule bench clean

help: ## List the targets.
	@awk -F ': ## ' '/^[a-z]+: ## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Back up, lose and restore real collections on real servers, and show the proof (report in build/demo).
	@$(call in_venv,dev) -m tools.demo $(ARGS)

drill: ## Drill the loss of a region on real servers, and say its verdict, RTO and RPO (report in build/drill).
	@$(call in_venv,dev) -m tools.drill $(ARGS)

test: ## Run the unit and integration tests against real servers (ARGS="-k name" for some of them, WORKERS=1 for one after the other).
	@$(call in_venv,dev) -m pytest --numprocesses $(WORKERS) --dist worksteal $(ARGS)

lint: ## Run every checker on a copy of the collection and give each one's verdict.
	@tools/lint

molecule: ## Run the roles on real hosts, which takes root (SCENARIO=server for one; docs/molecule.md).
	@tools/molecule $(SCENARIO)

bench: ## Measure against other tools side by side (BENCH=full_backup for one; results in build/bench).
	@$(call in_venv,bench) -m benchmarks.run $(BENCH)

clean: ## Remove what the other targets made in this clone; the cache in the home directory stays.
	rm -rf build tests/output
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
