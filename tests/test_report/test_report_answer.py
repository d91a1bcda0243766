# Copyright (c) mmseg_ctt contributors.
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.config import Config

from mmseg_ctt.evaluation.bootstrap import Interval
from mmseg_ctt.lab.report.runs import Run
from mmseg_ctt.lab.report.scalars import Curve
from mmseg_ctt.lab.report.verdict import shipping, verdict

pytest.importorskip('plotly', reason='plotly: pip install "mmseg_ctt[report]"')

from mmseg_ctt.lab.report.answer import answer, baseline_command, choose_baseline  # noqa: E402
from mmseg_ctt.lab.report.evaluation import Evaluation  # noqa: E402
from mmseg_ctt.lab.report.networks import Evaluated  # noqa: E402

CLASSES = ('road', 'car', 'tree')
PLAIN = Config(dict(model=dict(type='EncoderDecoder')))
SEMI = Config(dict(model=dict(type='MeanTeacher', segmentor=dict())))


def make_run(name, config, folder='x'):
    return Run(name, Path(folder, name), config=config)


def evaluated(seed=0, paths=None, classes=CLASSES, number=40, predicting=None, **hits):
    """Networks by member, each with this mean part of hits in every class."""
    random = np.random.RandomState(seed)
    areas = {}
    for name, part in hits.items():
        hit = (1000 * part + random.randint(-90, 90, (number, len(classes)))).astype(int)
        areas[name] = np.stack([hit, np.full_like(hit, 1000), np.full_like(hit, 1000)], axis=1)
    paths = paths or [f'{i}.jpg' for i in range(number)]
    # the single network of highest IoU predicts, so that what is shipped is known
    single = {name: part for name, part in hits.items() if name != 'ensemble'}
    predicting = predicting or max(single, key=lambda name: single[name])
    result = Evaluation({}, [], number, number, predicting, areas, paths)
    dataset = SimpleNamespace(metainfo=dict(classes=classes))
    return Evaluated(None, dataset, result, Path('iter_1.pth'))


def rows_of(part, kind):
    (table,) = [block for block in part.blocks if getattr(block, 'head', [''])[0] == kind]
    return {tuple(row[: 2 if kind == 'run' else 1]): row for row in table.rows}


def notes(part):
    return ' '.join(line for block in part.blocks for line in getattr(block, 'lines', ()))


RUNS = [make_run('sup', PLAIN), make_run('mt', SEMI)]


def test_unlabelled_images_helped():
    made = [evaluated(model=0.7), evaluated(student0=0.75, teacher0=0.8, ensemble=0.85)]
    part = answer(RUNS, made, 0)
    words = (
        r'^Yes, the unlabelled images helped: teacher0 of mt has 6\d\.\d % mIoU, 1\d\.\d points '
    )
    assert re.match(
        words + r'more than the baseline sup \(5\d\.\d %\), and the difference is larg',
        part.headline,
    )
    assert '2,000 draws' in part.description and 'all 40 validation images' in part.description
    assert 'another seed' in notes(part) and 'that the run predicts with' in notes(part)
    assert 'The ensemble has' in notes(part) and 'Ship teacher0 of mt' in notes(part)
    rows = rows_of(part, 'run')
    assert rows['sup', 'model'][3:] == ('–', '–')
    low, high = map(float, rows['mt', 'teacher0'][4].split(' to '))
    assert 0 < low < float(rows['mt', 'teacher0'][3]) < high
    classes = rows_of(part, 'class')
    assert set(classes) == {(name,) for name in CLASSES}
    for name, before, after, gain, _ in classes.values():
        assert float(gain) == pytest.approx(float(after) - float(before), abs=0.011), name
    mean = np.mean([float(row[3]) for row in classes.values()])
    assert mean == pytest.approx(float(rows['mt', 'teacher0'][3]), abs=0.02), 'of the same member'


@pytest.mark.parametrize(
    'scores, rises',
    [([20, 24, 29.5], True), ([20, 24, 24.9], False), ([24, 20], False), ([24], False)],
)
def test_a_baseline_that_still_rises(scores, rises):
    steps = [100 * (i + 1) for i in range(len(scores))]
    run = replace(RUNS[0], curves=dict(mIoU=Curve(steps, scores)))
    headline = answer([run, RUNS[1]], [evaluated(model=0.7), evaluated(student0=0.8)], 0).headline
    line = 'sup still rose by 5.5 points from iteration 200 to 300: labels alone may win as much'
    assert (line in headline) == rises and ('still rose' in headline) == rises
    worse = answer([run, RUNS[1]], [evaluated(model=0.7), evaluated(student0=0.6)], 0)
    other = answer([replace(run, config=SEMI), RUNS[1]], [evaluated(model=0.7)] * 2, 0)
    assert 'still rose' not in worse.headline + other.headline


def test_harm_and_noise():
    base = evaluated(model=0.7)
    worse = answer(RUNS, [base, evaluated(student0=0.6, teacher0=0.55)], 0)
    assert worse.headline.startswith('No, the unlabelled images made it worse: student0 of mt')
    assert 'Ship the network of sup, which predict.py' in notes(worse)
    assert 'minus that of sup, on the same images' in worse.description
    assert 'Ship student0' not in notes(worse)
    same = answer(RUNS, [base, evaluated(1, teacher0=0.7)], 0)
    assert same.headline.startswith('Not certain that the unlabelled images helped')
    assert 'no more than the noise of these images' in same.headline
    few = answer(RUNS, [evaluated(model=0.7, number=4), evaluated(teacher0=0.9, number=4)], 0)
    assert '4 images are few: with less than 6 there is no interval' in notes(few)
    assert few.headline.endswith('How large the noise is was not measured.')
    assert rows_of(few, 'run')['mt', 'teacher0'][4] == '–'


@pytest.mark.parametrize('rules', [(False, False), (True, True), (False, True)])
def test_classes_that_no_label_shows(rules):
    """In no mean of the runs, if the evaluator of one leaves them out."""
    made = [evaluated(model=0.5), evaluated(student0=0.6, teacher0=0.8)]
    for i, only in enumerate(rules):
        for areas in made[i].result.areas.values():
            areas[:, :2, 2] = 0
        made[i] = made[i]._replace(result=made[i].result._replace(labelled_only=only))
    part = answer(RUNS, made, 0)
    rows, classes = rows_of(part, 'run'), rows_of(part, 'class')
    shown = [float(row[2]) for row in classes.values() if row[2] != '–']
    assert len(shown) == (2 if any(rules) else 3)
    assert float(rows['mt', 'teacher0'][2]) == pytest.approx(np.mean(shown), abs=0.011)
    difference = float(rows['mt', 'teacher0'][3])
    low, high = map(float, rows['mt', 'teacher0'][4].split(' to '))
    assert low < difference < high and (difference > 25) is any(rules)


def test_baseline():
    runs = [make_run('a', SEMI), make_run('b', PLAIN), make_run('c', PLAIN)]
    assert choose_baseline(runs) == 1 and choose_baseline(runs[:1]) == 0
    assert choose_baseline(runs, 'x/../x/c') == 2
    with pytest.raises(ValueError, match='--baseline y is none of the work folders: x/a, x/b, x/c'):
        choose_baseline(runs, 'y')
    made = [evaluated(student0=0.6), evaluated(model=0.7), evaluated(model=0.8)]
    two = answer(runs[:2], made[:2], 1)
    assert 'student0 of a' in two.headline and 'less than the baseline b' in two.headline
    three = answer(runs, made, 0)
    assert three.headline.startswith('Yes, c is better: c has ')
    assert 'a is no supervised run' in notes(three) and 'Of 2 runs, c has the highest' in notes(
        three
    )


def test_one_run():
    part = answer([RUNS[1]], [evaluated(student0=0.6, teacher0=0.8)], 0)
    assert part.headline.startswith('Ship teacher0: 6')
    assert 'cannot be told without a baseline' in part.headline
    (command,) = [block.text for block in part.blocks if hasattr(block, 'text')]
    assert command == baseline_command(RUNS[1])
    assert '--work-dir x/mt_supervised --cfg-options method=supervised\n' in command
    assert command.endswith('report.py x/mt_supervised x/mt')
    absolute = make_run('mt', SEMI, Path('x').absolute())
    assert baseline_command(absolute) == command, 'a page is sent to others'
    plain = answer([RUNS[0]], [evaluated(model=0.6)], 0)
    assert re.match(r'sup has 4\d\.\d % mIoU\. It is a supervised run', plain.headline)
    assert notes(plain).startswith('Ship the network of sup, which predict.py')
    assert not any(hasattr(block, 'text') for block in plain.blocks)


def test_other_images_and_classes():
    base = evaluated(model=0.7)
    other = [f'b{i}.jpg' for i in range(40)]
    with pytest.raises(ValueError, match='sup and mt have other validation images'):
        answer(RUNS, [base, evaluated(paths=other, teacher0=0.8)], 0)
    with pytest.raises(ValueError, match='have other classes'):
        answer(RUNS, [base, evaluated(classes=('a', 'b', 'c'), teacher0=0.8)], 0)


def test_from_the_records_alone():
    """Without the networks of all runs; figures of two kinds are never compared."""
    runs = [
        replace(RUNS[0], curves=dict(mIoU=Curve([5], [50.0]))),
        replace(RUNS[1], curves={'teacher0/mIoU': Curve([5], [53.0])}),
    ]
    part = answer(runs, [evaluated(model=0.9), None], 0)
    assert part.headline.startswith(
        'It seems that the unlabelled images helped: teacher0 of mt has'
    )
    assert '3.0 points more than the baseline sup (50.0 %)' in part.headline
    assert 'was not measured' in part.headline and 'there is no interval' in part.description
    with pytest.raises(ValueError, match='mt has no mIoU'):
        answer([runs[0], RUNS[1]], [None, None], 0)


def test_the_verdict_is_on_the_network_that_predicts():
    """The best of several networks on these images was chosen on them."""
    runs = [evaluated(model=0.7), evaluated(student0=0.9, teacher0=0.75, predicting='teacher0')]
    part = answer(RUNS[:2], runs, 0)
    assert 'teacher0 of mt has' in part.headline and 'student0' not in part.headline
    assert '(--member student0)' in notes(part)


def test_words():
    base, best = ('s', 'model', 50.0), ('m', 'student0', 48.0)
    assert verdict(base, best, None, -2.0, True).startswith('It does not seem that the unlabelled')
    worse = verdict(base, best, Interval(-0.02, -0.03, -0.01), -2.0, False)
    assert worse.startswith('No, s is better') and '-3.0 to -1.0' in worse
    assert 'ensemble' not in shipping('teacher0', dict(teacher0=60.0, ensemble=59.0), 'm')
    other = shipping('teacher0', dict(student0=61.5, teacher0=60.0), 'm')
    assert 'student0 has 61.50 %, 1.50 more on these images (--member student0)' in other
