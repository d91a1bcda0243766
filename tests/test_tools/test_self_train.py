# Copyright (c) mmseg_ctt contributors.
"""``tools/self_train.py``: the folder of a run whose command names none."""

import shlex
from pathlib import Path
from typing import Any, List

import pytest
from leaves import CONFIGS

from mmseg_ctt.engine.start_config import read_config
from mmseg_ctt.self_training import build_rounds

WILSON = 'wilson_deeplabv3plus_mobilenetv2_msrc21'
CREST = 'crest_deeplabv3plus_streets_1-8'


@pytest.fixture
def started(load_tool, tmp_path, monkeypatch):
    """Folder of a start, in a place without runs."""
    tool, got = load_tool('self_train'), []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tool.module, 'run_rounds', lambda cfg, folder, args: got.append(folder))

    def start(name, *options):
        tool.call(f'{name}.py', *(['--cfg-options', *options] if options else []))
        return str(got[-1])

    return start


@pytest.mark.parametrize('config', ['auxsegnet_mobilenetv2_msrc21', 'auxsegnet_r101-d8_voc'])
def test_commands_of_the_readme_of_auxsegnet(load_tool, tmp_path, monkeypatch, config):
    """They say CONFIG: each works with both."""
    tool, text = load_tool('self_train'), (CONFIGS / 'auxsegnet/README.md').read_text()
    made: List[Any] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        tool.module,
        'run_rounds',
        lambda cfg, folder, args: made.append(build_rounds(cfg, Path(folder), Path('.')).settings),
    )
    for line in text.replace('\\\n', ' ').splitlines():
        if 'tools/self_train.py CONFIG' in line:
            words = shlex.split(line, comments=True)
            tool.call(f'{config}.py', *words[words.index('CONFIG') + 1 :])
    given = [(one.saliency, one.initial, one.rounds) for one in made]
    assert given[0][0] == given[1][1] == 'FOLDER' and given[2][2] == 4
    assert not made[1].classifier and made[1].refines == 'network'


def test_variants_of_the_readme_have_folders_of_their_own(started):
    assert started(WILSON) == f'work_dirs/{WILSON}'
    for method in ('finetune', 'joint'):
        assert started(WILSON, f'self_training.method={method}') == f'work_dirs/{WILSON}_{method}'
    assert started(CREST, 'method=fixmatch') == f'work_dirs/{CREST}_fixmatch'
    assert started(CREST, 'work_dir=here', 'method=fixmatch') == 'here'
    assert started(CREST, 'self_training.alpha=0') == f'work_dirs/{CREST}'


def test_a_run_that_an_earlier_version_began_goes_on(started, capsys):
    cfg = read_config(f'{WILSON}.py', {'self_training.method': 'finetune'})
    former = Path('work_dirs', WILSON)
    former.mkdir(parents=True)
    made = build_rounds(cfg, former, Path('.'))
    made.save(dict(step='step0', task='train'))
    assert started(WILSON, 'self_training.method=finetune') == str(former)
    assert f'goes on in {former}' in capsys.readouterr().out
    assert started(WILSON, 'self_training.method=joint') == f'work_dirs/{WILSON}_joint'
    own = Path('work_dirs', f'{WILSON}_finetune')
    own.mkdir()
    build_rounds(cfg, own, Path('.')).save(dict(step='step0', task='train'))
    assert started(WILSON, 'self_training.method=finetune') == str(own)
