#!/usr/bin/env bash
# Copyright (c) mmseg_ctt contributors.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_launch.sh"
[ $# -ge 3 ] || usage "PARTITION JOB CONFIG [arguments of train.py]"
launch_slurm train.py "$@"
