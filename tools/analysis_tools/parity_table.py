# Copyright (c) mmseg_ctt contributors.
"""Print the largest errors against released code per file of stored values, as a Markdown table.

python tools/analysis_tools/parity_table.py [FIXTURES] [--cases]

FIXTURES is a folder with <method>/*.npz and <method>/README.md (default: ../shared/oracles, next
to the repository). tests/parity measures the errors; this tool prints them.
"""

import argparse
import contextlib
import io
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import described, run  # noqa: E402

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / 'tests' / 'parity'
Errors = Dict[Tuple[str, str], Dict[str, dict]]  # by method and file, then by case
Tolerances = Dict[Tuple[str, str], Tuple[str, str]]
UNKNOWN = 'not stated'


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument(
        'fixtures',
        nargs='?',
        type=Path,
        metavar='FIXTURES',
        default=ROOT.parent / 'shared' / 'oracles',
        help='folder with <method>/*.npz; default: ../shared/oracles',
    )
    parser.add_argument('--cases', action='store_true', help='a row for each case of a file')
    return parser.parse_args()


class Recorder:
    """Plugin of pytest that collects the recorded errors of each case, and failed tests."""

    def __init__(self) -> None:
        self.errors: Errors = {}
        self.failed: List[str] = []
        self._case: Dict[str, Any] = {}

    def pytest_collection_modifyitems(self, items: 'List[pytest.Function]') -> None:
        for item in items:
            case = item.callspec.params['case'] if hasattr(item, 'callspec') else None
            if case is not None:
                self._case[item.nodeid] = case

    def pytest_runtest_logreport(self, report: 'pytest.TestReport') -> None:
        if report.failed:
            self.failed.append(report.nodeid.split('::')[-1])
        elif report.when == 'call' and report.nodeid in self._case:
            case = self._case[report.nodeid]
            cases = self.errors.setdefault((case.method, case.file), {})
            kept = cases.setdefault(case.name, {})
            for name, error in report.user_properties:
                kept[name] = max(error, kept.get(name, 0.0))


def measure(fixtures: Path) -> Recorder:
    """Run the comparisons with the fixtures of a folder.

    Raises:
        FileNotFoundError: If the folder holds no fixtures.
        ValueError: If a comparison fails.
    """
    import pytest

    if not list(fixtures.glob('*/*.npz')):
        raise FileNotFoundError(
            f'no fixtures <method>/*.npz in {fixtures}: give the folder that holds them as the '
            'argument'
        )
    recorder, output = Recorder(), io.StringIO()
    os.environ['MMSEG_CTT_SHARED'] = str(fixtures.resolve())
    with contextlib.redirect_stdout(output):
        code = pytest.main(
            ['-q', '-c', str(ROOT / 'pyproject.toml'), '--rootdir', str(ROOT), str(TESTS)],
            plugins=[recorder],
        )
    if code != 0:
        reason = ', '.join(recorder.failed) or output.getvalue().strip().splitlines()[-1]
        raise ValueError(f'{reason} failed: see pytest {TESTS.relative_to(ROOT)}')
    return recorder


def stated_tolerances(fixtures: Path) -> Tolerances:
    """Tolerance of value and gradient that the fixtures' own notes state, by method and file."""
    stated = {}
    for readme in sorted(fixtures.glob('*/README.md')):
        notes = re.findall(
            r'^## (\w+)\.npz$.*?^- \*\*Tolerance[^:]*: (.*?)$',
            readme.read_text(),
            flags=re.MULTILINE | re.DOTALL,
        )
        for file, text in notes:
            value = re.search(r'exact|\d+e-\d+', text)
            gradient = re.search(r'gradient within (\d+e-\d+)', text)
            stated[readme.parent.name, file] = (
                value[0] if value else UNKNOWN,
                gradient[1] if gradient else UNKNOWN,
            )
    return stated


def table(errors: Errors, tolerances: Tolerances, by_case: bool = False) -> List[str]:
    """Lines of the table, a row per file or per case."""
    label = 'case' if by_case else 'cases'
    lines = [
        f'| method | file | {label} | value | within | gradient | within |',
        '| --- | --- | --- | --- | --- | --- | --- |',
    ]
    for (method, file), cases in sorted(errors.items()):
        within = tolerances.get((method, file), (UNKNOWN, UNKNOWN))
        groups = [(name, [found]) for name, found in cases.items()]
        if not by_case:
            groups = [(str(len(cases)), list(cases.values()))]
        for label, found in groups:
            pairs = [pair for properties in found for pair in properties.items()]
            gradients = [error for name, error in pairs if name.startswith('grad')]
            values = [error for name, error in pairs if not name.startswith('grad')]
            lines.append(
                f'| {method} | {file} | {label} | {largest(values)} | {within[0]} | '
                f'{largest(gradients)} | {within[1] if gradients else "-"} |'
            )
    return lines


def largest(errors: List[float]) -> str:
    if not errors:
        return '-'
    return f'{max(errors):.1e}' if max(errors) > 0 else '0'


def main() -> None:
    args = parse_args()
    recorder = measure(args.fixtures)
    import torch

    tolerances = stated_tolerances(args.fixtures)
    print('\n'.join(table(recorder.errors, tolerances, args.cases)))
    print(
        f'\nPyTorch {torch.__version__} on the CPU. Errors are relative to the largest entry of '
        'an array; a file that is compared exactly counts mismatches.'
    )


if __name__ == '__main__':
    run(main)
