# Copyright (c) mmseg_ctt contributors.
"""Every config file with the beginning of its header and what was measured with it."""

import re
from pathlib import Path
from typing import Dict

import yaml

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


def config_tables() -> str:
    """One table a folder of configs."""
    folders = sorted(
        {
            path.parent
            for path in CONFIGS.rglob('*.py')
            if not path.is_relative_to(CONFIGS / '_base_')
        }
    )
    return '\n\n'.join(map(table, folders))


def table(folder: Path) -> str:
    """Files of a folder, their purpose, and mIoU from the metafile beside them."""
    scores = measured(folder / 'metafile.yaml')
    name = folder.relative_to(CONFIGS).as_posix()
    lines = [
        f'## {name}',
        '',
        f'[README](../../configs/{name}/README.md)' if (folder / 'README.md').is_file() else '',
        '',
        '| config | what it is | mIoU |',
        '| --- | --- | --- |',
    ]
    lines += [
        f'| [{path.stem}](../../configs/{name}/{path.name}) | {purpose(path)} | '
        f'{scores.get(path.stem, "not measured")} |'
        for path in sorted(folder.glob('*.py'))
    ]
    return '\n'.join(lines)


def purpose(path: Path) -> str:
    """The first sentence of a config's header."""
    header = re.match(r'(?:#.*\n)+', path.read_text())
    text = ' '.join(line.strip('# ') for line in header[0].splitlines()) if header else ''
    return re.split(r'(?<=[.;:])\s', text)[0].replace('|', r'\|').rstrip(';:')


def measured(path: Path) -> Dict[str, str]:
    """The mIoU of each config, with the member that the metafile names."""
    models = (yaml.safe_load(path.read_text()).get('Models') or ()) if path.is_file() else ()
    return {
        model['Name']: ', '.join(
            str(part)
            for result in model['Results']
            for part in (f'{result["Metrics"]["mIoU"]:.2f}', model['Metadata'].get('Member'))
            if part
        )
        for model in models
        if model.get('Results')
    }
