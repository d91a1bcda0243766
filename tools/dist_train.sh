#!/usr/bin/env bash
# Copyright (c) mmseg_ctt contributors.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_launch.sh"
[ $# -ge 2 ] || usage "CONFIG GPUS [arguments of train.py]"
launch_local train.py "$2" "$1" "${@:3}"
