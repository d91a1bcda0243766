#!/usr/bin/env bash
# Copyright (c) mmseg_ctt contributors.
# Makes .venv with the tested set of packages and the package itself in editable mode. Run it, or
# source it to get the environment as well. Safe to run again: unchanged requirements cost nothing.
#   PYTHON          interpreter to start from (default python3; the tested set is one of 3.11)
#   TORCH           another set of packages by its PyTorch, one of requirements/torch; each has an
#                   environment of its own, .venv-torch-VERSION
#   MMSEG_CTT_VENV  folder of the environment
if [ "${BASH_SOURCE[0]}" != "$0" ]; then  # sourced: set up in a shell of its own
    bash "${BASH_SOURCE[0]}" &&
        source "$(bash "${BASH_SOURCE[0]}" --where)/bin/activate"
    # OpenMP threads that wait do not hold the core for long: as fast on a quiet machine, and up to
    # twice as fast when something else runs (docs/decisions.md)
    export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-1000}"
    # huge pages for the memory of a training on a CPU (docs/guide/training.md, Speed)
    if [ ! -e /dev/nvidiactl ] && [ ! -e /dev/kfd ] && [ ! -e /dev/dxg ]; then
        export THP_MEM_ALLOC_ENABLE="${THP_MEM_ALLOC_ENABLE:-1}"
    fi
    return
fi

set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="${MMSEG_CTT_VENV:-$root/.venv${TORCH:+-torch-$TORCH}}"
if [ "${1:-}" = --where ]; then
    echo "$venv"
    exit 0
fi
python="${PYTHON:-python3}"
say() { echo "[setup] $*" >&2; }
fail() { say "$*"; exit 1; }
if [ $# -gt 0 ]; then
    fail "setup_env.sh takes no arguments, got $1: PYTHON, TORCH and MMSEG_CTT_VENV are variables"
fi

constraints="$root/requirements/constraints.txt"
if [ -n "${TORCH:-}" ]; then
    constraints="$root/requirements/torch/$TORCH.txt"
    [ -f "$constraints" ] ||
        fail "no set has been tested with TORCH=$TORCH: $(cd "$root/requirements/torch" && echo *.txt)"
fi
# the first line of a set names the versions of Python that it is for, such as 3.9 or 3.11-3.13
versions="$(sed -n '1s/.*Python \([0-9][0-9.-]*\).*/\1/p' "$constraints")"
"$python" -c "
import sys
low, *high = (tuple(map(int, part.split('.'))) for part in '$versions'.split('-'))
sys.exit(not low <= sys.version_info[:2] <= (high or [low])[0])" || fail "\
$(basename "$constraints") is for Python $versions, and $python is $("$python" -V 2>&1): set \
PYTHON=/path/to/python, or TORCH to a set for this one (docs/reference/compatibility.md)"
mkdir -p "$venv"
if command -v flock > /dev/null; then  # two set-ups at once would spoil one another
    exec 9> "$venv/.lock"
    flock 9
fi
stamp="$(cd "$root" && cat requirements.txt requirements/*.txt "$constraints" setup.py pyproject.toml \
    mmseg_ctt/version.py | sha256sum | cut -d' ' -f1) $root"
if [ "$(cat "$venv/.installed" 2> /dev/null)" = "$stamp" ]; then
    exit 0
fi

log="$venv/install.log"
step() {
    say "$1"
    "${@:2}" >> "$log" 2>&1 || { tail -n 5 "$log" >&2; fail "failed; the whole log is $log"; }
}
: > "$log"
step "making $venv" "$python" -m venv "$venv"
install=("$venv/bin/python" -m pip install --disable-pip-version-check -c "$constraints")
step 'installing PyTorch' "${install[@]}" torch numpy setuptools wheel
# requirements that this set has no version of are left out, such as those of the linters
tests="$venv/tests.txt"
while read -r name; do
    grep -qi "^$name==" "$constraints" && echo "$name"
done < "$root/requirements/tests.txt" > "$tests"
step 'installing the requirements' "${install[@]}" -r "$root/requirements.txt" -r "$tests"
# An mmcv that is there, the full one above all, is never replaced.
if ! "$venv/bin/python" -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("mmcv"))'
then
    if grep -q '^mmcv==' "$constraints"; then
        step 'installing what compiles mmcv' "${install[@]}" ninja psutil
        step 'compiling mmcv (10 to 30 minutes)' \
            env MMCV_WITH_OPS=1 "${install[@]}" --no-build-isolation mmcv
    else
        step 'installing mmcv-lite' "${install[@]}" -r "$root/requirements/lite.txt"
    fi
fi
step 'installing mmseg_ctt' "${install[@]}" --no-deps --no-build-isolation -e "$root"
"$venv/bin/python" -c 'import cv2' 2>> "$log" ||
    fail "OpenCV cannot be loaded (mostly a missing libGL.so.1): install the system packages \
libgl1 and libglib2.0-0, or: $venv/bin/pip uninstall -y opencv-python && \
$venv/bin/pip install opencv-python-headless"
echo "$stamp" > "$venv/.installed"
say 'done'
