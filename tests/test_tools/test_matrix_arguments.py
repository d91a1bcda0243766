# Copyright (c) mmseg_ctt contributors.
"""What run_matrix.py refuses: options that nothing reads, and files that it would replace."""

from pathlib import Path

import pytest
import yaml

from mmseg_ctt.lab.experiments.results import BEGIN, END, put_rows


@pytest.fixture
def call(tmp_path, monkeypatch, load_tool, capsys):
    """Calls the tool with a matrix of one run, which has a row; gives its exit code and error."""
    monkeypatch.chdir(tmp_path)
    Path('plain_toy.py').write_text("model = dict(type='EncoderDecoder')\n")
    content = dict(out='results.csv', work_dir='runs', seeds=[0], splits=dict(toy=None))
    content['methods'] = dict(plain=dict(config='plain_{split}.py'))
    Path('matrix.yaml').write_text(yaml.safe_dump(content))
    write_rows('results.csv', 30)
    tool = load_tool('analysis_tools/run_matrix')
    monkeypatch.setattr(tool.module, 'run_all', lambda *_: pytest.fail('a run begins'))
    monkeypatch.setattr(tool.module, 'hashes', lambda *_: {})

    def call(*arguments):
        return tool.exit_code('matrix.yaml', *arguments), capsys.readouterr().err

    return call


def write_rows(path, miou, seed=0, **more):
    row = dict.fromkeys([*BEGIN, *END], 'x') | dict(method='plain', split='toy', seed=seed)
    put_rows(Path(path), [dict(row, member='model', eval_set='val', miou=miou, **more)])


@pytest.mark.parametrize(
    'arguments, words',
    [
        ('--table --dry-run', '--dry-run would be unused beside --table: remove it'),
        ('--table tb.md --sbatch p', '--sbatch would be unused beside --table'),
        ('--table --jobs 4', '--jobs would be unused beside --table'),
        ('--table --threads 3', '--threads would be unused beside --table'),
        ('--classes toy --gpus 0', '--gpus would be unused beside --classes'),
        ('--dry-run --member ensemble', '--member would be unused beside --dry-run'),
        ('--dry-run --jobs 3', '--jobs would be unused beside --dry-run'),
        ('--dry-run --gpus 0,1', '--gpus would be unused beside --dry-run'),
        ('--dry-run --threads 1', '--threads would be unused beside --dry-run'),
        ('--dry-run --sbatch p', '--sbatch would be unused beside --dry-run'),
        ('--sbatch p --jobs 2', '--jobs would be unused beside --sbatch'),
        ('--merge a.csv --jobs 2', '--jobs would be unused beside --merge'),
        ('--merge a.csv --only method=plain', '--only would be unused beside --merge'),
        ('--merge a.csv --eval-sets val', '--eval-sets would be unused beside --merge'),
        ('--merge a.csv --table t.md', '--table would be unused beside --merge'),
        ('--merge a.csv --dry-run', '--dry-run would be unused beside --merge'),
        ('--merge a.csv --member nobody', '--member would be unused beside --merge'),
        ('--member ensemble', '--member would be unused without --table or --classes'),
        ('--jobs 2 --gpus 0,1', '--jobs would be unused beside --gpus'),
        ('--overwrite', '--overwrite would be unused without --table or --classes'),
        ('--table --overwrite', '--overwrite is for --table FILE: name the file'),
        ('--classes toy --overwrite', '--overwrite is for --table FILE: name the file'),
        ('--table results.csv', '--table results.csv is the file of the results'),
        ('--table ./results.csv --overwrite', 'results.csv is the file of the results'),
        ('--table matrix.yaml --overwrite', 'matrix.yaml is the file of the matrix'),
        ('--table plain_toy.py', 'plain_toy.py exists: give another name, or --overwrite'),
        ('--table runs', 'runs is a folder: give the name of a file'),
        ('--table --member nobody', "member 'nobody' is unknown"),
        ('--dry-run --out runs', 'runs is a folder: give the name of a file'),
    ],
)
def test_what_is_refused(call, arguments, words):
    Path('runs').mkdir()
    before = {path: path.read_text() for path in Path('.').iterdir() if path.is_file()}
    code, error = call(*arguments.split())
    assert code == 2 and words in error, error
    assert before == {path: path.read_text() for path in Path('.').iterdir() if path.is_file()}


def test_a_table_is_replaced_when_asked(call):
    assert call('--table', 'new/t.md') == (0, '')
    text = Path('new/t.md').read_text()
    assert '30' in text
    write_rows('results.csv', 50)
    assert call('--table', 'new/t.md')[0] == 2 and Path('new/t.md').read_text() == text
    assert call('--table', 'new/t.md', '--overwrite') == (0, '')
    assert '50' in Path('new/t.md').read_text()


@pytest.mark.parametrize('second', ['missing', 'no results', 'other columns'])
def test_all_files_are_merged_or_none(call, second):
    write_rows('a.csv', 40, seed=1)
    if second == 'no results':
        Path('b.csv').write_text('a,b\n1,2\n')
    elif second == 'other columns':
        write_rows('b.csv', 40, seed=2, iou_sky='1')
    before = Path('results.csv').read_text()
    code, error = call('--merge', 'a.csv', 'b.csv')
    assert code == 2 and 'b.csv' in error
    assert Path('results.csv').read_text() == before
    assert call('--merge', 'a.csv') == (0, '')
    assert ',40,' in Path('results.csv').read_text()
