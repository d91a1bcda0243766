# Copyright (c) mmseg_ctt contributors.
"""What is measured, and by which commands: a whole case on a GPU, a small one on a CPU."""

import json
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from .limits import ROOT

TOOLS = 'tools/analysis_tools'
CAMVID = 'configs/{0}/{0}_deeplabv3plus_mobilenetv2_camvid_1-8.py'
STREETS = 'configs/ctt_plus/ctt-plus_deeplabv3plus_streets_1-8.py'
VOC = 'configs/ctt/ctt_deeplabv3plus_voc_1-8.py'
STREETS_COMMAND = (
    'tools/dataset_converters/make_streets.py',
    *('--train', '64', '--val', '32'),
    *('--out', '{streets}'),
)
WORKERS = ('--repeats', '3', '--workers', '0', '1', '2')
SMALL = ('--cfg-options', 'sizes.scale=(160,120)', 'sizes.crop_size=(96,128)')
# for the small case; `--methods all` takes every one
FEW = ('supervised', 'mean_teacher', 'cps', 'fixmatch', 'unimatch', 'ctt', 'u2pl', 'ael')
AUTHORS = (
    'the code of the authors is not here: fetch it and give its folder with --unimatch-v2 FOLDER'
)


class Part(NamedTuple):
    """One command, in a process of its own.

    Attributes:
        table (str): Table that its result belongs to, see :mod:`tables`; '' for a preparation.
        label (str): What tells it from the other parts of its table; also its folder's name.
        command (tuple): Arguments of Python; ``{out}`` is a folder of its own, ``{streets}`` that
            of the drawn images, ``{authors}`` that of the authors' code, ``{seconds}`` the time
            that it has.
        result (str): JSON file that it writes into that folder.
        limit (int): Seconds.
        obstacle (str): Why it cannot be measured; '' if it can.
    """

    table: str
    label: str
    command: Tuple[str, ...]
    result: str
    limit: int
    obstacle: str = ''

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return '-'.join(filter(None, [self.table or 'prepare', self.label]))

    def read(self, folder: Path) -> Dict[str, Any]:
        """Result of a complete part."""
        return json.loads((folder / self.result).read_text()) if self.result else {}


class Options(NamedTuple):
    """What the user chooses.

    Attributes:
        gpu (bool): Whether there is a GPU to measure.
        methods (tuple): Names of folders of configs; ``('all',)`` is every method that has a
            config of CamVid.
        tables (tuple): Only these; all if empty.
        unimatch_v2 (bool): Whether the authors' code is there.
    """

    gpu: bool
    methods: Tuple[str, ...] = ()
    tables: Tuple[str, ...] = ()
    unimatch_v2: bool = False


def plan(options: Options) -> List[Part]:
    """All parts, the quick and important ones first."""
    parts = [
        *_steps(options.gpu),
        _tool('chunks', '', 'benchmark_parts.py', ('chunks',), 'parts.json', 240),
        _evaluation(options.gpu),
        _tool('loader', '', 'benchmark_loader.py', (STREETS, *WORKERS), 'loader.json', 240),
        _tool('scale', '', 'benchmark_scale.py', (), 'scale.json', 300),
        _authors(options),
        _methods(options),
        *_parts(options.gpu),
    ]
    needed = [part for part in parts if not options.tables or part.table in options.tables]
    reads_streets = any('streets' in word for part in needed for word in part.command)
    drawn = Part('', 'streets', STREETS_COMMAND, '', 300)
    return [drawn, *needed] if reads_streets else needed


def _tool(
    table: str,
    label: str,
    script: str,
    arguments: Sequence[str],
    result: str,
    limit: int,
    obstacle: str = '',
) -> Part:
    if not obstacle and not (ROOT / TOOLS / script).is_file():
        obstacle = f'there is no {TOOLS}/{script}'
    command = (f'{TOOLS}/{script}', *arguments, '--out', '{out}')
    return Part(table, label, command, result, limit, obstacle)


def _parts(gpu: bool) -> List[Part]:
    """Parts of a step; the locally adaptive loss takes a CPU minutes."""
    limits = dict(ema=240, bank=240, contrast=480, lal=1200)
    return [
        _tool('parts', name, 'benchmark_parts.py', (name,), 'parts.json', limit)
        for name, limit in limits.items()
        if not (gpu and name == 'lal')
    ]


def _steps(gpu: bool) -> List[Part]:
    config, small = (VOC, ()) if gpu else (CAMVID.format('ctt'), SMALL)
    kinds = ('bf16', 'fp16') if gpu else ('float32', 'bf16')
    return [
        _tool(
            'step',
            kind,
            'benchmark_step.py',
            (config, '--synthetic', *(() if kind == 'float32' else ('--amp', kind)), *small),
            'benchmark.json',
            120 if gpu else 400,
        )
        for kind in kinds
    ]


def _evaluation(gpu: bool) -> Part:
    arguments = (STREETS, '--stock', '--images', '32' if gpu else '16')
    return _tool(
        'evaluation',
        '',
        'benchmark_evaluation.py',
        arguments,
        'evaluation.json',
        90 if gpu else 600,
    )


def _authors(options: Options) -> Part:
    config = CAMVID.format('unimatch_v2')
    arguments = [config, '{authors}', '--synthetic']
    return _tool(
        'authors',
        'UniMatch V2',
        'benchmark_authors.py',
        (*arguments, *(() if options.gpu else SMALL)),
        'authors.json',
        120 if options.gpu else 400,
        obstacle='' if options.unimatch_v2 else AUTHORS,
    )


def _methods(options: Options) -> Part:
    names = options.methods or (('all',) if options.gpu else FEW)
    found = sorted(map(str, ROOT.glob('configs/*/*_deeplabv3plus_mobilenetv2_camvid_1-8.py')))
    configs = [str(Path(path).relative_to(ROOT)) for path in found]
    if names != ('all',):
        folders = {Path(config).parent.name: config for config in configs}
        unknown = sorted(set(names) - set(folders))
        if unknown:
            raise ValueError(f'--methods {unknown[0]}: choose from {", ".join(folders)}, or all')
        configs = [folders[name] for name in names]
    seconds = (12, 60) if options.gpu else (240, 120)  # for all together each; the longest
    limits = ('--total', '{seconds}', '--limit', str(seconds[1]))
    per_process = len(configs) if options.gpu else 1
    arguments = ['--synthetic', *limits, '--per-process', str(per_process)]
    return _tool(
        'methods',
        '',
        'benchmark_methods.py',
        (*configs, *arguments, *(() if options.gpu else SMALL)),
        'methods.json',
        seconds[0] * len(configs) + 60,
    )
