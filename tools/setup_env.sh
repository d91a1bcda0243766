#!/usr/bin/env bash
# Copyright (c) mmseg_ctt contributors.
# Makes .venv with the tested set of packages and the package itself in editable mode. Run it, or
# source it to get the environment as well. Safe to run again: unchanged requirements cost nothing.
#   PYTHON          interpreter to start from (default python3; tested with 3.11)
#   MMSEG_CTT_VENV  folder of the environment (default .venv in the repository)
if [ "${BASH_SOURCE[0]}" != "$0" ]; then  # sourced: set up in a shell of its own
    bash "${BASH_SOURCE[0]}" &&
        source "${MMSEG_CTT_VENV:-$(dirname "${BASH_SOURCE[0]}")/../.venv}/bin/activate"
    # OpenMP threads that wait do not hold the core for long: as fast on a quiet machine, and up to
    # twice as fast when something else runs (docs/decisions.md)
    export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-1000}"
    return
fi

set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="${MMSEG_CTT_VENV:-$root/.venv}"
python="${PYTHON:-python3}"
say() { echo "[setup] $*" >&2; }
fail() { say "$*"; exit 1; }

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' ||
    fail "Python 3.9 or newer is needed: set PYTHON=/path/to/python3"
mkdir -p "$venv"
if command -v flock > /dev/null; then  # two set-ups at once would spoil one another
    exec 9> "$venv/.lock"
    flock 9
fi
stamp="$(cd "$root" && cat requirements.txt requirements/*.txt setup.py pyproject.toml \
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
pip=("$venv/bin/python" -m pip install --disable-pip-version-check)
constraints=(-c "$root/requirements/constraints.txt")
step 'installing PyTorch' "${pip[@]}" "${constraints[@]}" torch setuptools
step 'installing the requirements' "${pip[@]}" "${constraints[@]}" \
    -r "$root/requirements.txt" -r "$root/requirements/tests.txt"
# An mmcv that is there, the full one above all, is never replaced.
if ! "$venv/bin/python" -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("mmcv"))'
then
    step 'installing mmcv-lite' "${pip[@]}" "${constraints[@]}" \
        -r "$root/requirements/lite.txt"
fi
step 'installing mmseg_ctt' "${pip[@]}" --no-deps --no-build-isolation -e "$root"
"$venv/bin/python" -c 'import cv2' 2>> "$log" ||
    fail "OpenCV cannot be loaded (mostly a missing libGL.so.1): install the system packages \
libgl1 and libglib2.0-0, or: $venv/bin/pip uninstall -y opencv-python && \
$venv/bin/pip install opencv-python-headless"
echo "$stamp" > "$venv/.installed"
say 'done'
