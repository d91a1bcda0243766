#!/usr/bin/env bash
# Copyright (c) mmseg_ctt contributors.
# From nothing to a comparison: makes .venv, draws the embedded data set, trains the supervised
# baseline and CTT-plus on its few labels, tests both. Safe to run again: what is done is not done twice,
# and an interrupted training goes on.
#   WORK_DIR  results (default work_dirs/quickstart)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup_env.sh
work="${WORK_DIR:-work_dirs/quickstart}"
methods=(supervised ctt-plus)
config() { echo "configs/${1//-/_}/$1_deeplabv3plus_streets_1-8.py"; }

python tools/dataset_converters/make_streets.py
runs=()
for method in "${methods[@]}"; do
    folder="$work/$method"
    if [ ! -e "$folder/done" ]; then
        echo "training $method (log: $folder/train.log)"
        mkdir -p "$folder"
        python tools/train.py "$(config "$method")" --work-dir "$folder" --resume \
            > "$folder/train.log" 2>&1 || { tail -n 5 "$folder/train.log" >&2; exit 1; }
        touch "$folder/done"
    fi
    runs+=("$method=$(config "$method"):$(cat "$folder/last_checkpoint")")
done
python tools/analysis_tools/compare_runs.py "${runs[@]}" --out "$work" > "$work/compare.log" 2>&1 ||
    { tail -n 5 "$work/compare.log" >&2; exit 1; }
cat "$work/comparison.md"
echo "pictures: $work/pictures.png"
