# What a contributor does. Everything else is in CONTRIBUTING.md.
.PHONY: venv lint test test-all demo

venv: ## .venv with what the default tests need
	./scripts/venv cpu dev

lint: venv ## style, types, layers
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

test: ## lint and the default tests
	./scripts/test

test-all: ## everything, as CI does; installs PyTorch
	./scripts/test --all

demo: ## the whole job on real images
	./scripts/demo
