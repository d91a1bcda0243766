#!/usr/bin/env bash
# Copyright (c) mmseg_ctt contributors.
# Builds the wheel, installs it into a new environment outside the repository, imports every module,
# prints the environment, and trains two iterations by the installed tools:
#   bash tools/misc/check_wheel.sh [EXTRA ...]     bash tools/misc/check_wheel.sh report tiff
#   PYTHON  interpreter (default python3; the tested set is one of 3.11)
#   FOLDER  of environment, wheel and run, new or of an earlier call, whose results are replaced
#           (default: a temporary one, removed at the end)
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
python="${PYTHON:-python3}"
folder="${FOLDER:-}"
if [ -z "$folder" ]; then
    folder="$(mktemp -d)"
    trap 'rm -rf "$folder"' EXIT
fi
mkdir -p "$folder"
folder="$(cd "$folder" && pwd)"
say() { echo "[wheel] $*" >&2; }
mark="$folder/.check_wheel"
if [ ! -e "$mark" ] && [ -n "$(ls -A "$folder")" ]; then
    say "FOLDER=$FOLDER is not empty and not of an earlier call: name a new folder"; exit 2
fi
log="$folder/log.txt"
: > "$mark"
: > "$log"
step() {
    say "$1"
    "${@:2}" >> "$log" 2>&1 || { tail -n 15 "$log" >&2; say "failed: $1"; exit 1; }
}

# a copy, so that the build leaves nothing in the repository
rm -rf "$folder/source" "$folder/dist" "$folder/run"
mkdir -p "$folder/source" "$folder/run"
tar -C "$root" --exclude=__pycache__ --exclude=.mim -cf - LICENSE MANIFEST.in README.md configs mmseg_ctt \
    model-index.yml pyproject.toml requirements requirements.txt setup.py tools | tar -C "$folder/source" -xf -
step 'making the environment' "$python" -m venv --clear "$folder/env"
bin="$folder/env/bin"
install=("$bin/python" -m pip install --disable-pip-version-check -c "$root/requirements/constraints.txt")
step 'installing what builds' "${install[@]}" setuptools wheel
step 'building the wheel' "$bin/python" -m pip wheel --no-deps --no-build-isolation \
    --wheel-dir "$folder/dist" "$folder/source"
wheel="$(ls "$folder"/dist/*.whl)"
say "$(basename "$wheel"), $(du -h "$wheel" | cut -f1)"

cd "$folder/run"  # nothing of the repository is found from here
unset PYTHONPATH
step 'installing the wheel without extras' "${install[@]}" "$wheel"
if "$bin/python" -c 'import mmcv' 2>> "$log"; then
    say 'mmcv came without its extra'; exit 1
fi
answer="$({ "$bin/python" -c 'import mmseg_ctt' 2>&1 || true; } | tail -n 1)"
say "without mmcv: $answer"
case "$answer" in *"pip install 'mmcv-lite"*) ;; *) exit 1 ;; esac
extras="$(IFS=,; echo "lite${*:+,}$*")"
step "installing the extras $extras" "${install[@]}" "mmseg_ctt[$extras] @ file://$wheel"

step 'pip check' "$bin/python" -m pip check
say 'importing every module'
"$bin/python" - "$@" << 'END'
import importlib, pkgutil, re, sys, warnings
from importlib.metadata import requires
from pathlib import Path

warnings.simplefilter('ignore')
import mmseg_ctt

assert 'site-packages' in mmseg_ctt.__file__, mmseg_ctt.__file__
wanted, missing, count = set(sys.argv[1:]), {}, 0
for info in pkgutil.walk_packages(mmseg_ctt.__path__, 'mmseg_ctt.'):
    try:
        importlib.import_module(info.name)
        count += 1
    except ModuleNotFoundError as error:
        missing[info.name] = str(error.name).split('.')[0]
extra_of = {}
for line in requires('mmseg_ctt'):
    found = re.match(r'([\w.-]+).*extra == .([\w-]+)', line)
    if found and found[2] not in ('tests', 'docs'):
        extra_of.setdefault(found[1].lower().replace('-', '_'), set()).add(found[2])
print(f'[wheel] {count} modules', file=sys.stderr)
for name, package in missing.items():
    extras = extra_of.get({'sklearn': 'scikit_learn'}.get(package, package.lower()), set())
    print(f'[wheel] {name} needs {package} of {sorted(extras)}', file=sys.stderr)
    assert extras and not extras & wanted, name
END
"$bin/python" -m mmseg_ctt.collect_env

mim="$("$bin/python" -c 'import mmseg_ctt; print(mmseg_ctt.__path__[0])' 2>> "$log")/.mim"
step 'drawing street scenes' "$bin/python" "$mim/tools/dataset_converters/make_streets.py" --train 64 --val 8
step 'training two iterations' "$bin/python" "$mim/tools/train.py" ctt-plus_deeplabv3plus_streets_1-8.py \
    --work-dir "$folder/run/work" --cfg-options sizes.max_iters=2 'param_scheduler=[]' default_hooks.logger.interval=1
grep -E 'Iter\(train\)' "$log" | tail -n 2 >&2
[ -f "$folder/run/work/iter_2.pth" ] || { say 'no checkpoint was written'; exit 1; }
say 'done'
