#!/usr/bin/env bash
# Copyright (c) mmseg_ctt contributors.
# Builds the documentation into docs/_build, warnings being errors; open docs/_build/index.html.
# Makes .venv if need be. Further arguments go to sphinx-build, such as -E (read all pages anew).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup_env.sh
if ! python -c 'import furo, latex2mathml, myst_parser, sphinx' 2> /dev/null; then
    python -m pip install --disable-pip-version-check -q -r requirements/docs.txt
fi
python -m sphinx -q -b html -W --keep-going -c docs -d docs/_build/.doctrees . docs/_build "$@"
echo 'docs/_build/index.html'
