#!/usr/bin/env bash
# Copyright (c) mmseg_ctt contributors.
# Sets up .venv if need be, then lints and tests: bash tools/run_tests.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup_env.sh
status=0
ruff check . || status=$?
python -m pytest "$@" || status=$?
exit "$status"
