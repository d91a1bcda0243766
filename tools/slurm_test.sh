#!/usr/bin/env bash
# Copyright (c) mmseg_ctt contributors.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_launch.sh"
[ $# -ge 4 ] || usage "PARTITION JOB CONFIG CHECKPOINT [arguments of test.py]"
launch_slurm test.py "$@"
