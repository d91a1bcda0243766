#!/usr/bin/env bash
# Copyright (c) mmseg_ctt contributors.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_launch.sh"
[ $# -ge 3 ] || usage "CONFIG CHECKPOINT GPUS [arguments of test.py]"
launch_local test.py "$3" "$1" "$2" "${@:4}"
