#!/usr/bin/env bash
# Copyright (c) mmseg_ctt contributors.
# Runs all benchmarks and writes a dated page: bash tools/analysis_tools/benchmark_all.sh [arguments of benchmark_all.py]
set -euo pipefail
# one thread, whose processor time other programs do not change; a GPU does not mind
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
exec "${PYTHON:-python}" "$(dirname "${BASH_SOURCE[0]}")/benchmark_all.py" "$@"
