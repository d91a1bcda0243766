# Copyright (c) mmseg_ctt contributors.
"""Write the tables of methods in README.md and docs/methods/index.md.

python tools/misc/make_method_tables.py            write both tables
python tools/misc/make_method_tables.py --check    name the pages that are not up to date

Both have a row for each folder of configs with a metafile, and for each page of docs/methods.
README.md has when to use it (`Use When` of the metafile), venue, and figures: published ones of the
metafiles, ours of docs/results_league.csv. docs/methods/index.md has its first sentence, and
compares the registered methods by the attributes of their classes. Exit status: 0 done or up to
date, 1 not up to date.
"""

import re
import sys
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import run  # noqa: E402
from _figures import Published, measured, metadata, published  # noqa: E402
from _made_tables import parse_args, update  # noqa: E402
from _words import counted  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = 'tools/misc/make_method_tables.py'
README, INDEX = 'README.md', 'docs/methods/index.md'
PACKAGE = 'mmseg_ctt.methods.'
PARTITIONS = (('VOC', '183'), ('Cityscapes', '1/8'))  # of the published figures
REFERENCE = re.compile(r'(After )?\[[^\]]+\]\(https:')  # paragraph that begins with the paper
VENUE = re.compile(r'arxiv\.org[^)]*\)[,;][^\[]*?\b((?:[A-Z][\w-]+ )+(?:\d+, )?\d{4})\b')
ARXIV = re.compile(r'arXiv (\d\d)\d\d\.')
LINK = re.compile(r'\[([^\]]+)\]\([^)]+\)')


def folders() -> List[str]:
    """Names of the methods: folders of configs with a metafile, and pages."""
    configs = {path.parent.name for path in ROOT.glob('configs/*/metafile.yaml')}
    pages = {path.stem for path in ROOT.glob('docs/methods/*.md')} - {'index', 'supervision'}
    return sorted(configs | pages)


def choice() -> str:
    """When to use each method, its venue, and figures."""
    ours = measured(ROOT)
    rows = [
        '| method | use it when | venue | VOC 183 | Cityscapes 1/8 | CamVid, here |',
        '| --- | --- | --- | --- | --- | --- |',
    ]
    figures = published(ROOT)
    for name in folders():
        page, readme, text = texts(name)
        link = f'[{summary(text)[0]}]({page or readme})'
        configs = f' ([configs]({readme}))' if page and readme else ''
        metafile = ROOT / f'configs/{name}/metafile.yaml'
        when = metadata(metafile).get('Use When', '') if metafile.is_file() else ''
        cells = [by_network(figures, name, *labels) for labels in PARTITIONS]
        here = f'{ours[name]:.1f}' if name in ours else '-'
        rows.append(f'| {link}{configs} | {when} | {venue(text)} | {" | ".join(cells)} | {here} |')
    return '\n'.join(rows)


def by_network(figures: Sequence[Published], config: str, data: str, part: str) -> str:
    """Highest published figure of a method with each network, for a number of labels."""
    found: Dict[str, str] = {}
    for row in figures:
        if (row.config, row.data) == (config, data) and part in row.values:
            network = row.network.split(' ')[0].replace('ResNet-', 'R')
            if ' with ' in row.network:
                network = f'{network} {row.network.split(" with ")[1]}'
            found[network] = max(found.get(network, '0'), row.values[part], key=float)
    ordered = sorted(found.items(), key=lambda item: float(item[1]))
    return ', '.join(f'{value} {network}' for network, value in ordered) or '-'


def overview() -> str:
    """Title, configs and first sentence of each method."""
    rows = ['| method | configs | what it is |', '| --- | --- | --- |']
    for name in folders():
        page, readme, text = texts(name)
        title, sentence = summary(text)
        method = f'[{title}]({name}.md)' if page else title
        configs = f'[{name}](../../{readme})' if readme else ''
        rows.append(f'| {method} | {configs} | {sentence} |')
    return '\n'.join(rows)


def texts(name: str) -> Tuple[str, str, str]:
    """Paths of the page and of the README of the configs, '' if absent, and the text of one."""
    page, readme = f'docs/methods/{name}.md', f'configs/{name}/README.md'
    page, readme = (path if (ROOT / path).is_file() else '' for path in (page, readme))
    return page, readme, (ROOT / (page or readme)).read_text()


def venue(text: str) -> str:
    """Conference or journal behind the reference of a page; the year of arXiv if it has none."""
    reference = next((p for p in text.split('\n\n')[1:] if 'arxiv.org' in p), '')
    found = VENUE.search(' '.join(reference.split()))
    if found is not None:
        return found[1]
    number = ARXIV.search(reference)
    return f'arXiv {2000 + int(number[1])}' if number else ''


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
    teaches = has_teachers(supervision_graph(cls.default_supervision, number))
    members = cls.member_table(number, teaches, False).values()
    teachers = sum(member.follows is not None for member in members)
    text = counted(number, 'student')
    if teachers:
        text += f', {counted(teachers, "EMA teacher")}'
    elif cls.keeps_average:
        text += ', its EMA predicts only'
    return text if cls.fixed_graph else f'{text} (default)'


def steps(cls: type) -> str:
    """Steps of the default strong augmentation, in their order."""
    return ', '.join(f'`{step["type"]}`' for step in cls.default_augmentation or ()) or '-'


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
    return {
        (README, 'methods'): choice(),
        (INDEX, 'overview'): overview(),
        (INDEX, 'methods'): comparison(),
    }


def main() -> None:
    check = parse_args(__doc__).check
    import mmengine  # noqa: F401, without an environment the error is that of all tools

    update(ROOT, tables(), SCRIPT, check)


if __name__ == '__main__':
    run(main)
