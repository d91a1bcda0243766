# Copyright (c) mmseg_ctt contributors.
"""Write docs/benchmarks.md from docs/benchmarks.json.

python tools/misc/make_benchmarks.py                  write the page
python tools/misc/make_benchmarks.py --from FOLDER    first take the tables of benchmark_all.sh
python tools/misc/make_benchmarks.py --entries FILE   first take the tables of a JSON list
python tools/misc/make_benchmarks.py --check          say whether the page is up to date

A table replaces the one of the same name; one without a figure replaces none. Every table has its
date, commit, machine and commands. With --from, docs/step_costs.json and the pictures are renewed,
too, where the run has every method. Exit status: 0 done or up to date, 1 not up to date.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any, Dict, List

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import described, run  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = 'tools/misc/make_benchmarks.py'
PAGE, FIGURES, COSTS = 'docs/benchmarks.md', 'docs/benchmarks.json', 'docs/step_costs.json'
PICTURES = {  # in the folder of a run, and in docs/images
    'methods/methods.png': 'step_costs.png',
    'step-float32/benchmark.png': 'benchmark.png',
    'step-bf16/benchmark.png': 'benchmark.png',
}
INTRODUCTION = f"""<!-- made by {SCRIPT} from benchmarks.json; do not edit -->

What a step, an evaluation and their parts cost. One command measures all of it on your machine and
writes a dated page like this one. On a GPU it stops after ten minutes (`--minutes`):

```bash
bash tools/analysis_tools/benchmark_all.sh
```

The *floor* of a step is the same network passes with the losses replaced by a mean. Times on a CPU
are those of the processor, of one thread, so that other programs do not count; compared forms are
measured in turns in one run, and figures are medians. `not measured` says why. Nothing here was
measured on a GPU unless the table names one.

![sections of a step beside the floor](images/benchmark.png)

![processor seconds, memory and operations of one step of each method](images/step_costs.png)

Parity with the published functions: [parity.md](parity.md)."""


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('--check', action='store_true', help='change nothing, compare only')
    parser.add_argument('--from', dest='folder', type=Path, help='folder of benchmark_all.sh')
    parser.add_argument('--entries', type=Path, help='JSON file with a list of tables')
    return parser.parse_args()


def read_json(path: Path) -> Any:
    """Content of a JSON file.

    Raises:
        FileNotFoundError: If there is none.
    """
    if not path.is_file():
        raise FileNotFoundError(f'there is no {path}')
    return json.loads(path.read_text())


def new_entries(args: argparse.Namespace) -> List[Dict[str, Any]]:
    """Tables that the user gives."""
    found: List[Dict[str, Any]] = []
    if args.folder is not None:
        found += read_json(args.folder / 'benchmarks.json')['tables']
    if args.entries is not None:
        found += read_json(args.entries)
    return found


def renew_pictures(folder: Path) -> None:
    """Costs of all methods and pictures of a run, where it has every method of the last ones."""
    measured = folder / 'methods' / 'methods.json'
    costs = read_json(measured)['costs'] if measured.is_file() else []
    before = read_json(ROOT / COSTS) if (ROOT / COSTS).is_file() else []
    missing = {cost['name'] for cost in before} - {cost['name'] for cost in costs}
    if costs and not missing:
        (ROOT / COSTS).write_text(json.dumps(costs, indent=2) + '\n')
    elif costs:
        print(f'{COSTS} is kept: the run has not {", ".join(sorted(missing))}')
    for source, name in PICTURES.items():
        if (folder / source).is_file() and not (missing and 'methods' in source):
            shutil.copyfile(folder / source, ROOT / 'docs/images' / name)


def main() -> None:
    args = parse_args()
    import mmengine  # noqa: F401, without an environment the error is that of all tools

    from mmseg_ctt.lab.benchmark.suite.page import merged, page

    old = read_json(ROOT / FIGURES) if (ROOT / FIGURES).is_file() else []
    entries = merged(old, new_entries(args))
    text = page(entries, 'Benchmarks', INTRODUCTION)  # checks every entry
    outdated = not (ROOT / PAGE).is_file() or (ROOT / PAGE).read_text() != text
    if args.check:
        print(f'{PAGE}: run python {SCRIPT}' if outdated else 'up to date')
        sys.exit(int(outdated))
    if args.folder is not None:
        renew_pictures(args.folder)
    (ROOT / FIGURES).write_text(json.dumps(entries, indent=2) + '\n')
    (ROOT / PAGE).write_text(text)
    print(f'written: {PAGE}' if outdated else 'up to date')


if __name__ == '__main__':
    run(main)
