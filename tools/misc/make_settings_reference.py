# Copyright (c) mmseg_ctt contributors.
"""Write the tables of all settings in docs/reference/settings.md, from the docstrings.

python tools/misc/make_settings_reference.py            write the tables
python tools/misc/make_settings_reference.py --check    say whether they are up to date

The documentation site replaces these tables by its own, with signatures and errors. Exit status:
0 done or up to date, 1 not up to date.
"""

import inspect
import re
import sys
from pathlib import Path
from typing import Dict, Iterable, Iterator, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import run  # noqa: E402
from _made_tables import parse_args, update  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = 'tools/misc/make_settings_reference.py'
PAGE = 'docs/reference/settings.md'
ENTRY = re.compile(r'^ {4}((?:\*{0,2}\w+, )*\*{0,2}\w+)(?: \((.*?)\))?:', re.MULTILINE)


def tables() -> Dict[Tuple[str, str], str]:
    """Tables by page and name."""
    sys.path.insert(0, str(ROOT / 'docs' / '_ext'))
    import inventory

    from mmseg_ctt.methods import SemiSegmentor

    methods = inventory.methods()
    others = {
        cls
        for classes in inventory.registered().values()
        for cls in classes
        if cls not in methods.values()
    }
    parts = [*inventory.parts(), *inventory.augmentation_steps()]
    blocks = {
        'methods': sections([SemiSegmentor, *methods.values()]),
        'parts': sections(parts),
        'registered classes': sections(sorted(others - set(parts), key=lambda cls: cls.__name__)),
    }
    return {(PAGE, name): text for name, text in blocks.items()}


def sections(classes: Iterable[type]) -> str:
    """Heading, first sentence and settings of each class."""
    from method_settings import defaults_table

    from mmseg_ctt.methods import SemiSegmentor

    texts = []
    for cls in classes:
        text = [f'### {cls.__name__}', summary(cls), settings(cls)]
        if issubclass(cls, SemiSegmentor) and cls is not SemiSegmentor:
            text.append(defaults_table(cls).strip())
        texts.append('\n\n'.join(filter(None, text)))
    return '\n\n'.join(texts)


def summary(cls: type) -> str:
    """First paragraph of the docstring as Markdown."""
    return markdown((inspect.getdoc(cls) or '').split('\n\n')[0])


def settings(cls: type) -> str:
    """Table of the arguments that the docstring of the class has."""
    rows = [f'| `{name}` | {kind} | {text} |' for name, kind, text in arguments(cls)]
    return '\n'.join(['| setting | type | meaning |', '| --- | --- | --- |', *rows]) if rows else ''


def arguments(cls: type) -> Iterator[Tuple[str, str, str]]:
    """Name, type and meaning of each argument in the section ``Args``."""
    from inventory import arguments_section

    section = arguments_section(cls)
    entries = list(ENTRY.finditer(section))
    for entry, following in zip(entries, [*entries[1:], None]):
        text = section[entry.end() : following.start() if following else None]
        yield entry[1], markdown(entry[2] or ''), markdown(text)


def markdown(text: str) -> str:
    """A docstring's text in one line: code instead of its roles, no bar that ends a cell."""
    text = re.sub(r':\w+:`~?(?:[\w.]*\.)?(\w+)`', r'`\1`', ' '.join(text.split()))
    return text.replace('``', '`').replace('|', '\\|')


def main() -> None:
    check = parse_args(__doc__).check
    import mmengine  # noqa: F401, without an environment the error is that of all tools

    update(ROOT, tables(), SCRIPT, check)


if __name__ == '__main__':
    run(main)
