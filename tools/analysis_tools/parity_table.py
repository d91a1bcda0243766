# Copyright (c) mmseg_ctt contributors.
"""Print the largest error against the released code of CTT per fixture, as a Markdown table.

python tools/analysis_tools/parity_table.py [FIXTURES]

FIXTURES is a folder with ctt/*.npz and ctt/README.md (default: ../shared/oracles, next to the
repository). tests/test_parity.py measures the errors; this tool prints them.
"""

import argparse
import contextlib
import io
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import run  # noqa: E402

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / 'tests' / 'test_parity.py'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument(
        'fixtures',
        nargs='?',
        type=Path,
        metavar='FIXTURES',
        default=ROOT.parent / 'shared' / 'oracles',
        help='folder with ctt/*.npz; default: ../shared/oracles',
    )
    return parser.parse_args()


class Recorder:
    """Plugin of pytest that collects the recorded errors of each fixture, and failed tests."""

    def __init__(self) -> None:
        self.errors: Dict[str, Dict[str, dict]] = {}  # by fixture and case
        self.failed: List[str] = []
        self._case: Dict[str, Tuple[str, str]] = {}  # fixture and case by test

    def pytest_collection_modifyitems(self, items: 'List[pytest.Function]') -> None:
        for item in items:
            mark = item.get_closest_marker('parametrize')
            for fixture, cases in item.module.RELEASED.files.items():
                if mark is not None and mark.args[1] is cases:
                    self._case[item.nodeid] = fixture, str(item.callspec.params['case'])

    def pytest_runtest_logreport(self, report: 'pytest.TestReport') -> None:
        if report.failed:
            self.failed.append(report.nodeid.split('::')[-1])
        elif report.when == 'call' and report.nodeid in self._case:
            fixture, case = self._case[report.nodeid]
            self.errors.setdefault(fixture, {})[case] = dict(report.user_properties)


def measure(fixtures: Path) -> Recorder:
    """Run the comparisons with the fixtures of a folder.

    Raises:
        FileNotFoundError: If the folder holds no fixtures.
        ValueError: If a comparison fails.
    """
    import pytest

    if not list(fixtures.glob('ctt/*.npz')):
        raise FileNotFoundError(
            f'no fixtures ctt/*.npz in {fixtures}: give the folder that holds them as the argument'
        )
    recorder, output = Recorder(), io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(output):
        os.symlink(fixtures.resolve(), Path(folder, 'oracles'))
        os.environ['MMSEG_CTT_SHARED'] = folder
        code = pytest.main(
            ['-q', '-c', str(ROOT / 'pyproject.toml'), '--rootdir', str(ROOT), str(TESTS)],
            plugins=[recorder],
        )
    if code != 0:
        reason = ', '.join(recorder.failed) or output.getvalue().strip().splitlines()[-1]
        raise ValueError(f'{reason} failed: see pytest {TESTS.relative_to(ROOT)}')
    return recorder


def stated_tolerances(readme: Path) -> Dict[str, List[str]]:
    """Tolerances of value and gradient in the README of the fixtures, by fixture."""
    if not readme.is_file():
        return {}
    pairs = re.findall(
        r'^## (\w+)\.npz$.*?^- \*\*Tolerance[^:]*: (.*?)$',
        readme.read_text(),
        flags=re.MULTILINE | re.DOTALL,
    )
    return {
        fixture: ['exact'] if text.startswith('exact') else re.findall(r'\d+e-\d+', text)
        for fixture, text in pairs
    }


def table(errors: Dict[str, Dict[str, dict]], tolerances: Dict[str, List[str]]) -> List[str]:
    """Lines of the table, a row per fixture."""
    lines = [
        '| fixture | cases | value | within | gradient | within |',
        '| --- | --- | --- | --- | --- | --- |',
    ]
    for fixture, cases in errors.items():
        compared = [properties for properties in cases.values() if properties]
        named = [item for properties in compared for item in properties.items()]
        gradients = [error for name, error in named if name.startswith('grad')]
        values = [error for name, error in named if not name.startswith('grad')]
        stated = tolerances.get(fixture, ['not stated'])
        lines.append(
            f'| {fixture} | {len(compared)} of {len(cases)} | {largest(values)} | '
            f'{stated[0]} | {largest(gradients)} | {stated[-1] if gradients else "-"} |'
        )
    return lines


def largest(errors: List[float]) -> str:
    if not errors:
        return '-'
    return f'{max(errors):.1e}' if max(errors) > 0 else '0'


def main() -> None:
    fixtures = parse_args().fixtures
    recorder = measure(fixtures)
    import torch

    print('\n'.join(table(recorder.errors, stated_tolerances(fixtures / 'ctt' / 'README.md'))))
    print(
        f'\nPyTorch {torch.__version__} on the CPU. Errors are relative to the largest entry of '
        'an array; a fixture that is compared exactly counts mismatches.'
    )


if __name__ == '__main__':
    run(main)
