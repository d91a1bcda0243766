#!/usr/bin/env bash
# Copyright (c) mmseg_ctt contributors.
# From nothing to a comparison: makes .venv, draws the embedded data set, trains the supervised
# baseline and CTT-plus on its few labels, tests both. Safe to run again: what is done is not done twice,
# and an interrupted training goes on.
#   WORK_DIR  results (default work_dirs/quickstart)
set -euo pipefail
if [ $# -gt 0 ]; then
    echo "quickstart.sh takes no arguments, got $1: WORK_DIR=FOLDER names the folder of the results" >&2
    exit 2
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup_env.sh
work="${WORK_DIR:-work_dirs/quickstart}"
methods=(supervised ctt-plus)
config() { echo "configs/${1//-/_}/$1_deeplabv3plus_streets_1-8.py"; }

# Runs a command with its output in a file, and shows the end of it where the command fails.
logged() {
    "${@:2}" > "$1" 2>&1 || { tail -n 5 "$1" >&2; exit 1; }
}

# Trains a method. In a terminal the training shows its live line, and mmengine's log has the rest;
# elsewhere the output is in train.log.
train() {
    local folder="$work/$1"
    local command=(python tools/train.py "$(config "$1")" --work-dir "$folder" --resume)
    mkdir -p "$folder"
    if [ -t 1 ]; then
        echo "training $1 (log: $folder/DATE/DATE.log; Ctrl-C saves a checkpoint and stops)"
        "${command[@]}"
    else
        echo "training $1 (log: $folder/train.log)"
        logged "$folder/train.log" "${command[@]}"
    fi
}

python tools/dataset_converters/make_streets.py
runs=()
for method in "${methods[@]}"; do
    folder="$work/$method"
    if [ ! -e "$folder/done" ]; then
        train "$method"
        touch "$folder/done"
    fi
    runs+=("$method=$(config "$method"):$(cat "$folder/last_checkpoint")")
done
logged "$work/compare.log" python tools/analysis_tools/compare_runs.py "${runs[@]}" --out "$work"
cat "$work/comparison.md"
echo "pictures: $work/pictures.png"
