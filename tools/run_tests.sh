#!/usr/bin/env bash
# Copyright (c) mmseg_ctt contributors.
# Sets up .venv if need be, then checks lint, format and types, and tests: bash tools/run_tests.sh [pytest arguments]
# Two processes at a time; `-n 0` is one, without the processes of pytest-xdist.
#   TORCH=2.1.2 bash tools/run_tests.sh   the tests in another set, one of requirements/torch (docs/reference/compatibility.md)
# Where it may (root, apt-get) it installs Chromium, in which the pages of a report are looked at.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup_env.sh

install_chromium() {
    export DEBIAN_FRONTEND=noninteractive
    timeout 300 apt-get update && timeout 300 apt-get install -y --no-install-recommends chromium
}
status=0 checks=''
if [ -z "${TORCH:-}" ]; then  # lint and types do not depend on the set
    check() {
        local failed=0
        ruff check . || failed=1
        ruff format --check --quiet . || { echo '[tests] not formatted: ruff format .' >&2; failed=1; }
        mypy || failed=1
        return "$failed"
    }
    check &  # beside the next download
    checks=$!
    trap 'kill "$checks" 2> /dev/null || :' EXIT  # Ctrl-C does not reach it
fi
if ! command -v chromium chromium-browser google-chrome > /dev/null && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    echo '[tests] installing chromium' >&2
    install_chromium > /dev/null 2>&1 ||
        echo '[tests] no chromium to be had: tests in a browser are skipped' >&2
fi

export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"  # toy tensors: threads would wait for one another
# hundreds of processes import the package: each would compile it again
unset PYTHONDONTWRITEBYTECODE
[ -z "$checks" ] || wait "$checks" || status=$?
python -m pytest -n 2 --dist worksteal "$@" || status=$?
exit "$status"
