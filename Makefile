PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test test-all test-versions test-loggers test-wheel results docs lint clean

run: .venv/installed
	$(BIN)/critperiod fit --config configs/digits.yaml

# Two processes, a file of tests in one of them, the longest first (tests/conftest.py); the slowest twenty are listed.
test: lint
	$(BIN)/python -m pytest -q -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder --durations=20

test-all: lint
	$(BIN)/python -m pytest -q

# The oldest versions in an environment of its own; old libraries warn about new ones, which is not ours to mend.
test-versions:
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet -r tests/oldest.txt pytest tensorboard
	.venv-oldest/bin/python -m pip install --quiet --no-deps --editable .
	.venv-oldest/bin/python -m pytest -q -m "not slow" -W ignore::DeprecationWarning -W ignore::FutureWarning
	rm -rf .venv-oldest

# With the loggers' own packages; the other tests do without them.
test-loggers: .venv/installed-dev
	$(BIN)/python -m pip install --quiet --editable ".[loggers]"
	$(BIN)/python -m pytest -q tests/test_loggers.py

# The wheel and the source distribution, installed outside the repository.
test-wheel: .venv/installed-dev
	$(BIN)/python -m pip install --quiet hatchling editables
	$(BIN)/python -m pytest -q tests/test_wheel.py

# Tables and figures from the runs in results/; trains nothing.
results: .venv/installed
	$(BIN)/python benchmarks/results.py
	$(BIN)/python benchmarks/late_enough.py judge
	$(BIN)/python benchmarks/safe_default.py judge
	$(BIN)/python benchmarks/guard.py judge
	$(BIN)/python benchmarks/coverage.py judge
	$(BIN)/python benchmarks/sketch.py judge
	$(BIN)/python benchmarks/lr_confound.py judge
	$(BIN)/python benchmarks/scale.py judge
	$(BIN)/python benchmarks/gpu_overhead.py judge
	$(BIN)/python benchmarks/worthwhile.py
	$(BIN)/python benchmarks/growing.py judge
	$(BIN)/python benchmarks/short_first.py judge
	$(BIN)/python benchmarks/sharpness.py judge
	$(BIN)/python benchmarks/late_augmentation.py judge
	$(BIN)/python benchmarks/freezing.py judge
	$(BIN)/python benchmarks/headline.py judge
	$(BIN)/python benchmarks/ending.py judge
	$(BIN)/python benchmarks/readme.py

docs: .venv/installed
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

clean:
	rm -rf .venv
