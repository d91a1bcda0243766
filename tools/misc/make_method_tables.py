# Copyright (c) mmseg_ctt contributors.
"""Write the tables of methods in README.md and docs/methods/index.md.

python tools/misc/make_method_tables.py            write both tables
python tools/misc/make_method_tables.py --check    name the pages that are not up to date

README.md gets a row for each folder of configs with a metafile, and for each page of docs/methods:
its title and its first sentence. docs/methods/index.md compares the registered methods by the
attributes of their classes. Exit status: 0 done or up to date, 1 not up to date.
"""

import re
import sys
from pathlib import Path
from typing import Dict, List, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import run  # noqa: E402
from _made_tables import parse_args, update  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = 'tools/misc/make_method_tables.py'
README, INDEX = 'README.md', 'docs/methods/index.md'
PACKAGE = 'mmseg_ctt.methods.'
REFERENCE = re.compile(r'(After )?\[[^\]]+\]\(https:')  # paragraph that begins with the paper
LINK = re.compile(r'\[([^\]]+)\]\([^)]+\)')


def folders() -> List[str]:
    """Names of the methods: folders of configs with a metafile, and pages."""
    configs = {path.parent.name for path in ROOT.glob('configs/*/metafile.yaml')}
    pages = {path.stem for path in ROOT.glob('docs/methods/*.md')} - {'index', 'supervision'}
    return sorted(configs | pages)


def overview() -> str:
    """Title, configs and first sentence of each method."""
    rows = ['| method | configs | what it is |', '| --- | --- | --- |']
    for name in folders():
        page, readme = f'docs/methods/{name}.md', f'configs/{name}/README.md'
        has_page, has_readme = (ROOT / page).is_file(), (ROOT / readme).is_file()
        title, sentence = summary((ROOT / (page if has_page else readme)).read_text())
        method = f'[{title}]({page})' if has_page else title
        configs = f'[{name}]({readme})' if has_readme else ''
        rows.append(f'| {method} | {configs} | {sentence} |')
    return '\n'.join(rows)


def summary(text: str) -> Tuple[str, str]:
    """Title of a page, and the first sentence of its first paragraph that is no reference."""
    title, *paragraphs = text.strip().split('\n\n')
    prose = [p for p in paragraphs if re.match(r'\w|\[', p) and not REFERENCE.match(p)]
    first = ' '.join(LINK.sub(r'\1', prose[0]).split())
    return title.lstrip('# '), re.split(r'(?<=\.) ', first)[0].rstrip('.')


def comparison() -> str:
    """Networks, supervision, strong view, consistency and terms of each registered method."""
    from mmseg.registry import MODELS

    from mmseg_ctt.methods import registered_methods

    rows = [
        '| method | class | networks | supervision | strong view | consistency | terms |',
        '| --- | --- | --- | --- | --- | --- | --- |',
    ]
    own = [cls for cls in registered_methods().values() if cls.__module__.startswith(PACKAGE)]
    for cls in sorted(own, key=page_of):
        page = page_of(cls)
        title, _ = summary((ROOT / f'docs/methods/{page}.md').read_text())
        cells = networks(cls), f'`{cls.default_supervision}`', steps(cls), consistency(cls)
        tasks = [MODELS.get(task['type']).default_name for task in cls.default_auxiliary_tasks]
        terms = ', '.join(f'`{term}`' for term in (*cls.usual_weights(), *tasks))
        rows.append(f'| [{title}]({page}.md) | `{cls.__name__}` | {" | ".join(cells)} | {terms} |')
    return '\n'.join(rows)


def page_of(cls: type) -> str:
    """Name of a method's module or folder, which is that of its page."""
    return cls.__module__[len(PACKAGE) :].split('.')[0]


def networks(cls: type) -> str:
    """Students, and EMA teachers where the default graph has any."""
    from mmseg_ctt.nn.supervision import has_teachers, supervision_graph

    number = cls.default_num_pairs
    graph = supervision_graph(cls.default_supervision, number)
    text = counted(number, 'student')
    if has_teachers(graph):
        text += f', {counted(number, "EMA teacher")}'
    elif cls.keeps_average:
        text += ', its EMA predicts only'
    return text if cls.fixed_graph else f'{text} (default)'


def counted(number: int, noun: str) -> str:
    """Number and noun: 1 student, 2 students."""
    return f'{number} {noun}' if number == 1 else f'{number} {noun}s'


def steps(cls: type) -> str:
    """Steps of the default strong augmentation, in their order."""
    if cls.default_augmentation is None:
        return '-'
    return ', '.join(f'`{step["type"]}`' for step in cls.default_augmentation)


def consistency(cls: type) -> str:
    """Target and threshold of the default consistency; the name of the part if it is its own."""
    given = cls.default_consistency
    if given is None:
        return 'its own'
    part = cls.consistency_class
    if not isinstance(part, str):
        return f'`{part.__name__}`'
    target, threshold = given.get('target', 'hard'), given.get('confidence_threshold', 0.95)
    if threshold == 0:
        return f'{target}, all pixels'
    if given.get('class_thresholds') is not None:
        return f'{target}, class thresholds up to {threshold:g}'
    if given.get('select', 'pixel') == 'ratio':
        return f'{target}, all pixels times the ratio of those from {threshold:g}'
    return f'{target}, pixels from {threshold:g}'


def tables() -> Dict[Tuple[str, str], str]:
    """Tables by page and name."""
    return {(README, 'methods'): overview(), (INDEX, 'methods'): comparison()}


def main() -> None:
    check = parse_args(__doc__).check
    import mmengine  # noqa: F401, without an environment the error is that of all tools

    update(ROOT, tables(), SCRIPT, check)


if __name__ == '__main__':
    run(main)
