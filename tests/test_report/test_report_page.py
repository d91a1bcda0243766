# Copyright (c) mmseg_ctt contributors.
import os
import re
import shutil
from contextlib import nullcontext
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from two_runs import NASTY, SCRIPT

from mmseg_ctt.lab.report.portable import portable, short_path
from mmseg_ctt.lab.report.runs import config_of_checkpoint, read_runs

PARTS = [
    'Pseudo-labels',
    'Worst images',
    'Label these next',
    'Look at these labels',
    'mIoU of every member',
    'IoU of every class',
    'Confusion matrix',
    'Losses',
    'Class memory banks',
    'Feature embedding',
    'Settings and environment',
]
NETWORKS = [*PARTS[1:4], *PARTS[5:7], PARTS[9]]  # parts that run the networks
MISSING = re.compile(r'<h3>([^<]*)</h3> <p class="soft">(?:left out|none): ([^<]*)</p>')
WARNINGS = re.compile(r'<p class="warning">Left out of [^:]*: ([^<(]*) \(')


class Elements(HTMLParser):
    """Tags with attributes, and the text outside scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.text, self.open = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if not {'script', 'style'} & set(self.open):
            self.text.append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def read(path):
    """A page, its elements, and its parts that are missing, with the reason."""
    page = path.read_text(encoding='utf-8')
    return page, Elements(page), dict(MISSING.findall(page))


@pytest.fixture
def report(tool, tmp_path):
    """What the tool writes about some folders; what it leaves out stands at the top, too."""

    def report(*arguments, left_out=()):
        out = tmp_path / 'out' / 'report.html'
        with nullcontext() if not left_out else pytest.raises(SystemExit, match='^1$'):
            tool(*arguments, '--out', out)
        page = out.read_text()
        assert WARNINGS.findall(page.split('<main>')[0]) == list(left_out)
        assert page.count('left out: ') == len(left_out)
        return read(out)

    return report


def headings(page):
    return re.findall(r'<h3>([^<]*)</h3>', page)


def test_everything_of_a_semi_supervised_run(ctt_page):
    page, elements, missing = read(ctt_page)
    assert headings(page) == ['Which network to ship?', *PARTS] and not missing
    rows = 3 + 3  # the worst images, those to label next; no toy network is confident enough
    assert len(elements.of('img')) == 1 + rows * 4, 'a grid of pseudo-labels, four panels a row'
    assert page.count('plotly.js v') == 1, 'once in the page'
    assert page.count('Plotly.newPlot(') > 8
    text = ''.join(elements.text)
    for words in (
        'student0',
        'ensemble',
        'loss_hc: high-level contrast',
        'bank 0',
        'iter_6.pth',
        'all 3 validation images',
    ):
        assert words in text or words in page, words


def test_nothing_is_fetched(ctt_page):
    _, elements, _ = read(ctt_page)
    for _, attributes in elements.tags:
        for name in ('src', 'href', 'srcset', 'action', 'data'):
            assert (attributes.get(name) or 'data:').startswith(('data:', '#')), attributes
    (policy,) = [one['content'] for one in elements.of('meta') if 'http-equiv' in one]
    assert "default-src 'none'" in policy and 'http' not in policy


def test_what_users_write_is_text(ctt_page):
    page, elements, _ = read(ctt_page)
    assert NASTY not in page and SCRIPT not in page and '<script>alert' not in page
    assert escape(NASTY) in page and SCRIPT in ''.join(elements.text)
    assert not any('onerror' in attributes for attributes in elements.of('img'))
    assert {len(one) for one in elements.of('script')} == {0}


def test_plain_run(toy_runs, report, capsys):
    page, elements, missing = report(toy_runs.plain)
    assert headings(page) == ['Which network to ship?', *PARTS]
    assert 'Ship model' not in page and '% mIoU. It is a supervised run' in page
    assert 'the mean entropy of model' in page
    assert missing == {
        'Class memory banks': 'the run has no class memory bank',
        'Pseudo-labels': 'the run has no pseudo-labels, or none were logged',
        'Feature embedding': 'the model has no class memory bank',
    }
    printed = capsys.readouterr().out
    others = 'pseudo-labels, class memory banks, feature embedding'
    assert f'plain: without {others} (the page says why)\n' in printed
    assert printed.endswith('report.html\n')


def test_without_the_networks(toy_runs, report):
    _, elements, missing = report(toy_runs.ctt, '--no-model')
    assert set(missing) == set(NETWORKS)
    assert set(missing.values()) == {'switched off by --no-model'}
    assert 'From the last validation that the run recorded.' in ''.join(elements.text)
    page, _, missing = report(toy_runs.ctt, '--no-tsne', '--max-images', 2, '--worst', 1)
    assert 'A preview: of 2 of the 3 images without masks, evenly spread, those' in page
    assert missing == {'Feature embedding': 'switched off by --no-tsne'}
    options = ('--no-tsne', '--suggest', 0, '--label-errors', 0)
    _, _, missing = report(toy_runs.ctt, *options)
    assert missing == {
        'Feature embedding': 'switched off by --no-tsne',
        'Label these next': 'switched off by --suggest 0',
        'Look at these labels': 'switched off by --label-errors 0',
    }


@pytest.fixture
def bare(toy_runs, tmp_path):
    return shutil.copytree(toy_runs.ctt, tmp_path / 'bare')


def test_run_of_stock_mmseg(toy_runs, tmp_path, report):
    """Its training set has masks alone, here repeated: nothing to label next, masks to check."""
    from mmengine.config import Config

    folder = shutil.copytree(toy_runs.plain, tmp_path / 'stock')
    (path,) = folder.glob('*/vis_data/config.py')
    cfg = Config.fromfile(path)
    data = cfg.train_dataloader.dataset
    inner = dict(data.labeled, ann_file=f'{data.split}/labeled.txt')
    cfg.train_dataloader.dataset = dict(type='RepeatDataset', times=2, dataset=inner)
    cfg.dump(path)
    page, _, missing = report(folder)
    assert 'no images without masks' in missing['Label these next']
    assert 'Look at these labels' not in missing and 'all 3 labelled training images' in page


def test_without_checkpoint(bare, report):
    for path in (*bare.glob('*.pth'), bare / 'last_checkpoint'):
        path.unlink()
    _, _, missing = report(bare, left_out=NETWORKS)
    assert set(missing) == set(NETWORKS)
    assert set(missing.values()) == {'the folder holds no such checkpoint'}


def test_without_data(bare, report):
    (config,) = bare.glob('*/vis_data/config.py')
    root = re.search(r"data_root='([^']*)'", config.read_text())[1]
    config.write_text(config.read_text().replace(root, str(bare / 'gone')))
    _, _, missing = report(bare, left_out=NETWORKS)
    assert set(missing) == set(NETWORKS) and all('gone' in one for one in missing.values())


def test_without_scalars(bare, report):
    for path in bare.glob('*/vis_data/*.json'):
        path.unlink()
    parts = ['Pseudo-labels', 'mIoU of every member', 'Losses']
    _, _, missing = report(bare, left_out=parts)
    assert set(missing) == set(parts)
    assert all('LocalVisBackend' in one for one in missing.values())


def test_ratio_of_confident_pixels(toy_runs):
    """In the batches of the training, which every run with pseudo-labels logs."""
    from mmseg_ctt.lab.report.recorded import pseudo_labels

    (run,) = read_runs([toy_runs.ctt])
    titles = [getattr(block, 'title', '') for block in pseudo_labels(run).blocks]
    assert titles[0] == 'confident pixels in the training batches, by student'


def test_config_of_the_checkpoint(bare, report):
    """A start with another network in the same folder does not hide the run that has weights."""
    (config,) = bare.glob('*/vis_data/config.py')
    later = bare / '29991231_000000' / 'vis_data'
    later.mkdir(parents=True)
    text = config.read_text()
    assert 'num_pairs' not in text
    other = text.replace("type='CrossTeacherTraining'", "type='CrossTeacherTraining', num_pairs=1")
    (later / 'config.py').write_text(other)
    (later / 'scalars.json').write_text('{"loss": 1.0, "step": 1}\n')
    (run,) = read_runs([bare])
    assert run.config.model.num_pairs == 1
    assert 'num_pairs' not in config_of_checkpoint(run).model
    _, _, missing = report(
        bare, left_out=['mIoU of every member']
    )  # the later start has not validated yet
    assert not set(NETWORKS) & set(missing)
    for path in bare.glob('*/vis_data/config.py'):
        path.write_text(other)
    for path in bare.glob('*.py'):
        path.unlink()
    (run,) = read_runs([bare])
    assert 'num_pairs' not in config_of_checkpoint(run).model, 'in the checkpoint itself'


def test_no_absolute_paths(both_page, toy_runs, tmp_path, monkeypatch):
    """A page is sent to others; here the config, the folder and the differences hold paths."""
    text = ''.join(read(both_page)[1].text)
    assert str(toy_runs.ctt.parent) not in text and str(Path.home()) + '/' not in text
    data, run = (short_path(toy_runs.ctt.parent / name) for name in ('data', 'ctt'))
    assert f"data_root='{data}'" in text and f'Work folder: {run}.' in text
    monkeypatch.chdir(toy_runs.ctt.parent)
    for path, words in (
        (f"data_root='{toy_runs.ctt.parent}/data', a=1", "data_root='data', a=1"),
        (f'{toy_runs.ctt} is no run', 'ctt is no run'),
        ("'/home/jo/My Photos/dogs'", "'.../dogs'"),
        (f'({tmp_path / "a.py"})', f'({os.path.relpath(tmp_path / "a.py")})'),
    ):
        assert portable(words) == words and portable(path) == words
    for words in ('s / iteration', '/accuracy', 'https://a.org/b/c', '+0.1/0.2', '</pre></p>'):
        assert portable(words) == words
    assert portable(3) == 3 and portable('data:image/png;base64,/a/b/c') == (
        'data:image/png;base64,/a/b/c'
    )


def test_several_runs(both_page):
    page, elements, _ = read(both_page)
    titles = re.findall(r'<h2 id="[^"]*">([^<]*)</h2>', page)
    assert titles == ['Answer', 'ctt', 'plain', 'Comparison']
    assert [one['href'] for one in elements.of('a')] == [f'#chapter{i}' for i in (1, 2, 3, 4)]
    answer, *others = headings(page)
    assert answer == 'Did the unlabelled images help?'
    assert others == [*PARTS, *PARTS, 'Scores', 'Differences of settings']
    assert page.count('made for the other run, not for the baseline') == 2
    compared = page.split('id="chapter4"')[1]
    for words in (
        '>model.bank<',
        '(not set)',
        '>model.segmentor.data_preprocessor.size<',
        '<td>ctt</td><td>ensemble</td>',
        '<td>plain</td><td>model</td>',
    ):
        assert words in compared, words
    for words in ('>note<', 'model.segmentor.backbone'):
        assert words not in compared, 'equal in both'


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['absent'], 'the work folder absent does not exist'),
        (['CTT', 'CTT'], 'is given twice'),
        (['CTT', '--max-images', '0'], 'max_images (--max-images) must be at least 1, got 0'),
        (['CTT', '--suggest', '-1'], 'suggested (--suggest) must be at least 0, got -1'),
        (['CTT', '--baseline', 'other'], '--baseline other is none of the work folders'),
    ],
)
def test_errors_in_one_line(toy_runs, tool, capsys, arguments, words):
    with pytest.raises(SystemExit) as stop:
        tool.as_script(*[str(toy_runs.ctt) if one == 'CTT' else one for one in arguments])
    assert stop.value.code == 2
    printed = capsys.readouterr().err
    assert printed.count('\n') == 1 and printed.startswith('error: ') and words in printed
