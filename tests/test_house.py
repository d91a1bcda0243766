# Copyright (c) mmseg_ctt contributors.
"""Rooms of the package: arrows between them go down, files and functions stay short."""

import ast
import sys
from pathlib import Path
from typing import Iterator, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = 'mmseg_ctt'
# Lowest first. `''` is the package itself, whose import registers everything; `apis` has the names
# of `deploy` and `lab` for users.
ROOMS = ('functional', 'nn', 'methods', 'engine', 'deploy', 'self_training', '', 'lab', 'apis')
# Below `engine`; they know data and labels, no networks.
SIDE_ROOMS = (
    *('volumes', 'rasters', 'label_fusion', 'weak_labels'),
    *('datasets', 'evaluation', 'visualization'),
)
ABOVE_SIDE_ROOMS = ROOMS[ROOMS.index('nn') :]
# standard library and installed packages only
GROUND = ('collect_env', 'compat', 'noise', 'version')
MAX_FILE, MAX_FUNCTION = 300, 60  # lines


class Import(NamedTuple):
    """Import statement: the importing file, its line, and the dotted name that it imports."""

    file: Path
    line: int
    name: str

    def __str__(self) -> str:
        return f'{self.file}:{self.line} imports {self.name}'


def imports_of(root: Path, file: Path) -> Iterator[Import]:
    """Imports of a file, those inside functions too; relative names are resolved.

    Args:
        root (Path): Folder that holds the package.
        file (Path): Python file below it.
    """
    package = file.relative_to(root).parts[:-1]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(file.relative_to(root), node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            origin = '.'.join([*base, *filter(None, [node.module])])
            for alias in node.names:
                name = f'{origin}.{alias.name}'
                yield Import(
                    file.relative_to(root), node.lineno, name if _exists(root, name) else origin
                )


def _exists(root: Path, name: str) -> bool:
    path = root.joinpath(*name.split('.'))
    return path.is_dir() or path.with_suffix('.py').is_file()


def package_imports(root: Path) -> Iterator[Import]:
    """Imports of all files of the package."""
    for file in sorted((root / PACKAGE).rglob('*.py')):
        yield from imports_of(root, file)


def room_of(name: str) -> str:
    """Room of a dotted name of the package, such as ``nn`` of ``mmseg_ctt.nn.member``."""
    return (name.split('.') + [''])[1]


def importer_room(found: Import) -> str:
    """Room of the importing file; ``''`` for the ``__init__.py`` of the package."""
    room = found.file.with_suffix('').parts[1]
    return '' if room == '__init__' else room


def goes_up(found: Import) -> bool:
    """Whether an import breaks the order of the rooms."""
    if found.name.split('.')[0] != PACKAGE:
        return False
    source, target = importer_room(found), room_of(found.name)
    if source == target or target in GROUND:
        return False
    if source in GROUND:
        return True
    if source in SIDE_ROOMS:
        return target in ABOVE_SIDE_ROOMS
    if target in SIDE_ROOMS:
        return source == 'functional'
    return ROOMS.index(target) > ROOMS.index(source)


def method_of(name: str) -> str:
    """Method of a dotted name: ``ctt`` of ``mmseg_ctt.methods.ctt.contrast``, '' for others."""
    parts = name.split('.')
    return parts[2] if parts[:2] == [PACKAGE, 'methods'] and len(parts) > 2 else ''


def enters_another_method(root: Path, found: Import) -> bool:
    """Whether a method imports from the folder of another method."""
    own = method_of('.'.join(found.file.with_suffix('').parts))
    other = method_of(found.name)
    return bool(own and own != '__init__' and own != other) and bool(
        other and (root / PACKAGE / 'methods' / other).is_dir()
    )


def long_functions(file: Path) -> Iterator[str]:
    """Functions of a file that are too long, each with its line and length."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = node.end_lineno - node.lineno + 1
            if length > MAX_FUNCTION:
                yield f'{file}:{node.lineno} {node.name}: {length} lines'


def sources() -> Iterator[Path]:
    for folder in (PACKAGE, 'tools'):
        yield from sorted((ROOT / folder).rglob('*.py'))


def text_of(findings) -> str:
    return '\n'.join(map(str, findings))


def test_every_room_has_a_level():
    rooms = {path.stem for path in (ROOT / PACKAGE).iterdir() if path.suffix == '.py'}
    rooms |= {path.parent.name for path in (ROOT / PACKAGE).glob('*/__init__.py')}
    assert rooms - {'__init__'} == {*ROOMS, *SIDE_ROOMS, *GROUND} - {''}


def test_arrows_go_down():
    wrong = [found for found in package_imports(ROOT) if goes_up(found)]
    assert not wrong, text_of(wrong)


@pytest.mark.skipif(sys.version_info < (3, 10), reason='Python 3.9 has no list of its library')
def test_functional_imports_torch_alone():
    wrong = [
        found
        for found in package_imports(ROOT)
        if importer_room(found) == 'functional'
        and found.name.split('.')[0] not in {*sys.stdlib_module_names, 'torch', PACKAGE}
    ]
    assert not wrong, text_of(wrong)


def test_methods_do_not_enter_each_other():
    wrong = [found for found in package_imports(ROOT) if enters_another_method(ROOT, found)]
    assert not wrong, text_of(wrong)


def test_package_does_not_import_tools_or_tests():
    wrong = [
        found for found in package_imports(ROOT) if found.name.split('.')[0] in ('tools', 'tests')
    ]
    assert not wrong, text_of(wrong)


def test_files_are_short():
    lengths = {path: len(path.read_text().splitlines()) for path in sources()}
    wrong = [f'{path}: {length} lines' for path, length in lengths.items() if length > MAX_FILE]
    assert not wrong, text_of(wrong)


def test_functions_are_short():
    wrong = [finding for path in sources() for finding in long_functions(path)]
    assert not wrong, text_of(wrong)


# ---- the rules themselves


@pytest.fixture
def house(tmp_path):
    """A package of single lines: a function that writes a file and returns its imports."""

    def write(path: str, text: str):
        for name in ('nn/member.py', 'methods/ctt/segmentor.py', 'methods/mean_teacher.py'):
            (tmp_path / PACKAGE / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / PACKAGE / name).touch()
        file = tmp_path / PACKAGE / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return list(imports_of(tmp_path, file))

    return write


@pytest.mark.parametrize(
    'path, text, name',
    [
        ('nn/a.py', 'from ..methods.ctt import segmentor', 'mmseg_ctt.methods.ctt.segmentor'),
        ('nn/a.py', 'def f():\n    import mmseg_ctt.engine', 'mmseg_ctt.engine'),
        ('nn/a/b.py', 'from ... import methods', 'mmseg_ctt.methods'),
        ('functional/a.py', 'from mmseg_ctt.nn.member import Member', 'mmseg_ctt.nn.member'),
        ('datasets/a.py', 'from ..nn import member', 'mmseg_ctt.nn.member'),
        ('functional/a.py', 'from ..datasets import splits', 'mmseg_ctt.datasets'),
        ('engine/a.py', 'import mmseg_ctt', 'mmseg_ctt'),
        ('compat.py', 'from . import nn', 'mmseg_ctt.nn'),
    ],
)
def test_finds_an_arrow_that_goes_up(house, path, text, name):
    (found,) = house(path, text)
    assert found.name == name and goes_up(found)


@pytest.mark.parametrize(
    'path, text',
    [
        ('methods/a.py', 'from ..nn.member import Member'),
        ('lab/a/b.py', 'import mmseg_ctt'),
        ('engine/a.py', 'from ..datasets import splits'),
        ('evaluation/a.py', 'from ..functional import ema'),
        ('nn/a.py', 'from .member import Member'),
        ('deploy/a.py', 'from ..version import __version__'),
    ],
)
def test_accepts_an_arrow_that_goes_down(house, path, text):
    (found,) = house(path, text)
    assert not goes_up(found)


def test_finds_a_method_inside_another(house, tmp_path):
    for path in ('methods/ael/loss.py', 'methods/classmix.py'):
        (found,) = house(path, 'from mmseg_ctt.methods.ctt.segmentor import CrossTeacherTraining')
        assert enters_another_method(tmp_path, found)
    (own,) = house('methods/ctt/contrast.py', 'from .segmentor import CrossTeacherTraining')
    (single,) = house('methods/classmix.py', 'from .mean_teacher import MeanTeacher')
    assert not enters_another_method(tmp_path, own)
    assert not enters_another_method(tmp_path, single)


def test_finds_a_long_function(tmp_path):
    file = tmp_path / 'a.py'
    file.write_text('def f():\n' + '    pass\n' * MAX_FUNCTION)
    assert list(long_functions(file)) == [f'{file}:1 f: {MAX_FUNCTION + 1} lines']
