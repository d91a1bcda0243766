# Copyright (c) mmseg_ctt contributors.
"""The tables of docs/league.md and docs/results.md, and the shares in them."""

import csv
import json
import math
import shutil

import pytest
from pages import ROOT
from toy_league import ENDS, QUESTIONS, ROWS, league, row

from mmseg_ctt.lab.experiments.matrix import Cell
from mmseg_ctt.lab.experiments.results import BEGIN, END

PAGES = ('README.md', 'docs/league.md', 'docs/results.md', 'docs/guide/which_method.md')


def test_share_is_that_of_the_means_over_seeds():
    standing = league().standing('good', 'val')
    assert standing.shares == pytest.approx(dict(photos=0.5, slices=0.1))
    assert standing.seeds == dict(photos=2, slices=1)
    assert (standing.mean, standing.worst) == pytest.approx((0.3, 0.1))


def test_the_order_is_that_of_the_mean_and_missing_questions_stand_behind():
    rows = league().standings('val')
    assert [one.method for one in rows] == ['good', 'harm', 'plain', 'part']
    assert rows[1].worst == pytest.approx(-8 / 20) and rows[2].mean == 0
    assert rows[3].shares['photos'] == pytest.approx(21 / 20)
    assert not rows[3].complete and math.isnan(rows[3].mean) and math.isnan(rows[3].worst)


def test_best_others_have_the_most_seeds():
    """Three seeds of some methods must not change which ones are shown."""
    seeds = [row('harm', split, 30, 1) for split in QUESTIONS]
    assert league().best(2, without=['plain']) == ['good', 'harm']
    assert league([*ROWS, *seeds]).best(2, without=['plain']) == ['harm', 'good']
    assert league().best(9, without=['plain', 'good']) == ['harm', 'part']


def test_a_question_without_a_gap_is_left_out():
    rows = [one for one in ROWS if one['split'] != 'slices_all']
    found = league([*rows, row('plain', 'slices_all', 79, 0, 'model')])
    assert not found.has_gap('slices', 'val')
    assert found.standing('good', 'val').shares == pytest.approx(dict(photos=0.5))


def test_without_all_labels_there_is_no_share_yet():
    found = league([one for one in ROWS if one['split'] != 'slices_all'])
    assert found.has_gap('slices', 'val') and not found.has_set('val')
    assert math.isnan(found.standing('plain', 'val').shares['slices'])


@pytest.mark.parametrize('changes', [dict(baseline=None), dict(full_by_split={})])
def test_a_matrix_that_is_no_league(changes):
    with pytest.raises(ValueError, match='a league needs a baseline and splits with full_labels'):
        league(**changes)


def test_gains_are_over_the_baseline_of_the_same_seed():
    rows = [*ROWS, row('good', 'photos', 99, 2)]  # a seed that the baseline does not have
    assert league(rows).gains('good', 'photos', 'val') == {0: 10, 1: 10}
    assert league().gains('never', 'photos', 'val') == {}


def test_fewest_seeds_are_none_where_a_question_is_missing():
    assert league().standing('good', 'val').fewest == 1
    assert league().standing('part', 'val').fewest == 0


def test_methods_of_several_teachers_have_an_ensemble():
    pair = [row('good', 'photos', 51, 0, 'teacher1'), row('good', 'photos', 54, 0, 'ensemble')]
    found = league([*ROWS, *pair, row('harm', 'photos', 30, 0, 'ensemble')])
    assert found.with_ensemble == {'good'}
    assert found.of_ensembles().standing('good', 'val').shares['photos'] == pytest.approx(16 / 20)
    assert found.of_ensembles().share('harm', 'photos', 'val') == pytest.approx(-8 / 20)


# ---- the tables


@pytest.fixture
def tool(load_tool):
    return load_tool('misc/make_league')


def test_up_to_date(tool, capsys):
    assert tool.exit_code('--check') == 0, capsys.readouterr().out


def test_shares_of_the_validation_images_until_the_gaps_are_tested(tool):
    table = tool.module.shares_table(league(), dict(good=2.04), dict(good=1.5), {})
    assert table.startswith('Share of the gap on the **validation images**')
    assert 'Test images: not yet.' in table and table.endswith('Not measured yet: `never`.')
    assert '(../configs/good/README.md) | 50 (2) | 10 (1) | 30 | 10 | 2.0 | 1.5 |' in table
    assert '| 105 (1) | not measured | not measured | not measured | not measured | not' in table
    tested = [{**one, 'eval_set': 'test'} for one in ENDS]
    table = tool.module.shares_table(league([*ROWS, *tested]), {}, {}, {})
    assert table.startswith('Share of the gap on the **test images**') and 'not yet' not in table
    assert 'Not measured yet: `good`, `harm`, `never`, `part`.' in table


def test_means_of_the_validation_images_stand_beside_shares_of_the_test_images(tool):
    tested = [{**one, 'eval_set': 'test'} for one in ENDS]
    tested += [
        row('good', 'photos', 43, eval_set='test'),
        row('part', 'photos', 41, eval_set='test'),
    ]
    tested.append(row('good', 'slices', 84, eval_set='test'))
    pair = [row('good', 'photos', 51, 0, 'teacher1'), row('good', 'photos', 54, 0, 'ensemble')]
    pair.append(row('good', 'slices', 84, 0, 'ensemble'))
    lines = tool.module.shares_table(league([*ROWS, *tested, *pair]), {}, {}, {}).splitlines()
    assert '| mean | worst | mean, validation | cost of a step | memory |' in lines[2]
    assert 'mean, validation' not in tool.module.shares_table(league(), {}, {}, {})
    cells = [line.split(' | ', 3)[3] for line in lines[4:8]]
    assert cells == [
        '32 | 25 | 30 | not measured | not measured |',
        'not measured | not measured | 60 | not measured | not measured |',
        '0 | 0 | 0 | not measured | not measured |',
        'not measured | not measured | not measured | not measured | not measured |',
    ]


def test_costs_have_a_base(tool):
    base = tool.module.step_base(ROOT)
    table = tool.module.shares_table(league(), {}, {}, dict(step=0.1662, memory=718.8))
    assert '1.0 is what labels alone take, 166 ms of processor time and 719 MiB.' in table
    costs = {one['name']: one for one in json.loads((ROOT / 'docs/step_costs.json').read_text())}
    own = costs['supervised_deeplabv3plus_mobilenetv2_camvid_1-8']
    assert base == dict(step=own['step'], memory=own['memory'])
    assert tool.module.step_base(ROOT / 'docs') == {}
    assert '1.0' not in tool.module.shares_table(league(), {}, {}, {})


def test_ensembles_in_the_tables(tool, monkeypatch):
    pair = [row('good', 'photos', 51, 0, 'teacher1'), row('good', 'photos', 54, 0, 'ensemble')]
    found = league([*ROWS, *pair])
    shares = tool.module.shares_table(found, dict(good=2.04), dict(good=1.5), {}).splitlines()
    place = next(i for i, line in enumerate(shares) if line.startswith('| [good]'))
    assert shares[place + 1].startswith('| good, ensemble | 80 (1) | not measured |')
    assert shares[place + 1].endswith('| 2.0 | 1.5 |')
    monkeypatch.setitem(tool.module.question_table.__globals__, 'REPORTED', ('plain', 'good'))
    lines = tool.module.question_table(found, 'photos').splitlines()
    assert '| good, ensemble | 54.00 (1) | 80 % | not measured | not measured |' in lines


def test_the_recipe_has_a_row_for_each_question(tool, monkeypatch):
    monkeypatch.setitem(tool.module.recipe_table.__globals__, 'RECIPE', 'good')
    pair = [row('good', 'photos', 51, 0, 'teacher1'), row('good', 'photos', 54, 0, 'ensemble')]
    lines = tool.module.recipe_table(
        league([*ROWS, *pair, row('good', 'slices', 84, 0, 'ensemble')]),
        dict(photos='Photographs', slices='Slices'),
    ).splitlines()
    assert lines[0] == 'mIoU of the **validation images** (number of seeds):'
    assert lines[4:] == [
        '| Photographs | 40.0 (2) | 50.0 (2) | 54.0 (1) | 60.0 (1) |',
        '| Slices | 80.0 (1) | 81.0 (1) | 84.0 (1) | 90.0 (1) |',
        '| mean share of the gap | 0 % | 30 % | 60 % | 100 % |',
        '| worst share of the gap | 0 % | 10 % | 40 % | 100 % |',
    ]


def test_gains_are_of_the_first_seed_alone(tool):
    lines = tool.module.gains_table(league(), dict(good=2.04)).splitlines()[2:]
    assert [line.split('configs/')[1] for line in lines] == [
        'good/README.md) | 10.0 | 1.0 | 5.5 | 2.0 |',
        'harm/README.md) | -8.0 | 5.0 | -1.5 | not measured |',
        'part/README.md) | 21.0 | not measured | not measured | not measured |',
    ]
    assert all(line.startswith('| [') and '](../../configs/' in line for line in lines)


def test_runs_with_more_steps_stand_beside_those_of_the_league(tool):
    split = 'photos_x3.8 slices_x3.8 photos_all_x3.8 photos_x2'.split()
    cells = [Cell('plain', name, 0, 'c.py', {}) for name in split]
    cells += [Cell('good', name, 0, 'c.py', {}) for name in split[:2]]
    full = {'photos_x3.8': 'photos_all_x3.8', 'slices_x3.8': 'slices_all_x3.8'}
    rows = [row('plain', name, miou, 0, 'model') for name, miou in zip(split, (46, 82, 70, 99))]
    pair = dict(teacher1=51, ensemble=54)
    more = [row('good', 'photos', miou, 0, name) for name, miou in pair.items()]
    rows += [row('good', 'photos_x3.8', miou + 2, 0, name) for name, miou in pair.items()]
    rows.append(row('plain', 'photos_x3.8', 90, 1, 'model'))  # of another seed
    longer = league(rows, cells=cells, full_by_split=full)
    table = tool.module.longer_table(league([*ROWS, *more]), longer)
    assert table.startswith('mIoU of the **validation images**, seed 0:')
    assert [line.split('configs/')[-1] for line in table.splitlines()[4:]] == [
        'plain/README.md) | 1 | 38.00 | 80.00 | 0.0 |',
        'plain/README.md) | 3.8 | 46.00 | 82.00 | 5.0 |',
        'plain/README.md) | 2 | 99.00 | not measured | not measured |',
        '| all labels | 1 | 60.00 | 90.00 | 16.0 |',
        '| all labels | 3.8 | 70.00 | not measured | not measured |',
        'good/README.md) | 1 | 48.00 | 81.00 | 5.5 |',
        '| good, ensemble | 1 | 54.00 | not measured | not measured |',
        '| good, ensemble | 3.8 | 56.00 | not measured | not measured |',
    ]


def test_miou_tables(tool):
    table = tool.module.miou_tables(league([*ROWS, row('good', 'photos', 55, eval_set='test')]))
    test, val = table.split('Validation images:')
    assert test.startswith('Test images:')
    assert '(../configs/good/README.md) | 55.00 (1) | not measured |' in test
    assert '| all labels | 60.00 (1) | 90.00 (1) |' in val
    assert '(../configs/good/README.md) | 50.00 ± 2.83 (2) | 81.00 (1) |' in val


def test_table_of_a_question(tool, monkeypatch):
    monkeypatch.setitem(tool.module.question_table.__globals__, 'REPORTED', ('plain', 'part'))
    monkeypatch.setitem(tool.module.question_table.__globals__, 'OTHERS', 1)
    lines = tool.module.question_table(league(), 'slices').splitlines()
    cells = [line.split(' | ', 1)[1] for line in lines[2:]]
    assert cells == [
        '80.00 (1) | 0 % | not measured | not measured |',
        'not measured | not measured | not measured | not measured |',
        '81.00 (1) | 10 % | not measured | not measured |',
        '90.00 (1) | 100 % | not measured | not measured |',
    ]


def test_question_without_a_gap(tool, monkeypatch):
    """What was measured has no share there; what was not stays so."""
    monkeypatch.setitem(tool.module.question_table.__globals__, 'REPORTED', ('plain', 'never'))
    monkeypatch.setitem(tool.module.question_table.__globals__, 'OTHERS', 1)
    rows = [one for one in ROWS if one['split'] != 'slices_all']
    found = league([*rows, row('plain', 'slices_all', 79, 0, 'model')])
    lines = tool.module.question_table(found, 'slices').splitlines()
    assert [line.split(' | ', 1)[1] for line in lines[2:]] == [
        '80.00 (1) | no gap | not measured | not measured |',
        'not measured | not measured | not measured | not measured |',
        '81.00 (1) | no gap | not measured | not measured |',
        '79.00 (1) | no gap | not measured | not measured |',
    ]


# ---- the command


@pytest.fixture
def copy(tool, tmp_path, monkeypatch):
    """A copy of what the tool reads and writes, without scores."""
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    for path in (*PAGES, 'docs/step_costs.json'):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    (tmp_path / 'docs/images').mkdir()
    monkeypatch.setattr(tool.module, 'ROOT', tmp_path)
    return tmp_path


def write_scores(folder):
    """Rows of three methods of the league on one question."""
    rows = [row('supervised', 'streets', 40, 0, 'model')]
    rows += [row('supervised', 'streets_all', 50, 0, 'model'), row('fixmatch', 'streets', 44)]
    rows += [row('ctt', 'streets', score, 0, name) for name, score in
             (('student0', 1), ('teacher0', 42), ('ensemble', 2))]  # fmt: skip
    with open(folder / 'docs/results_league.csv', 'w', newline='') as file:
        writer = csv.DictWriter(file, [*BEGIN, *END])
        writer.writeheader()
        writer.writerows(rows)


def test_pages_with_some_scores(tool, copy):
    write_scores(copy)
    assert tool.exit_code() == 0 and tool.exit_code('--check') == 0
    picture = copy / 'docs/images/league.png'
    assert picture.read_bytes().startswith(b'\x89PNG')
    readme, league_page, results, guide = ((copy / page).read_text() for page in PAGES)
    assert '](images/league.png)' in league_page and '](../images/league.png)' in guide
    assert '(../configs/ctt/README.md) | 42.00 (1) | 20 % | not measured' in results
    assert '| all labels | 50.00 (1) | 100 % |' in results
    row = '| Streets, drawn | 40.0 (1) | not measured | not measured | 50.0 (1) |'
    assert row in readme
    picture.unlink()
    assert tool.exit_code('--check') == 1


def test_seeds_that_the_league_does_not_have_do_not_count(tool, copy):
    write_scores(copy)
    path = copy / 'docs/results_league.csv'
    text = path.read_text()
    more = [line for line in text.splitlines() if line.startswith('ctt,streets,0,teacher0')]
    path.write_text(text + more[0].replace(',0,', ',9,').replace('42', '99') + '\n')
    assert tool.exit_code() == 0
    assert '(../configs/ctt/README.md) | 42.00 (1) | 20 %' in (copy / 'docs/results.md').read_text()


def test_a_picture_of_older_figures(tool, copy, capsys):
    picture, old = copy / 'docs/images/league.png', copy / 'old.png'
    write_scores(copy)
    assert tool.exit_code() == 0
    picture.rename(old)
    scores = copy / 'docs/results_league.csv'
    scores.write_text(scores.read_text().replace('44.00', '45.00'))
    assert tool.exit_code() == 0 and tool.exit_code('--check') == 0
    old.rename(picture)
    assert tool.exit_code('--check') == 1
    assert 'league.png: run python tools/misc/make_league.py' in capsys.readouterr().out


def test_without_scores_the_command_says_what_to_run(tool, copy, capsys):
    write_scores(copy)
    assert tool.exit_code() == 0
    (copy / 'docs/results_league.csv').unlink()
    assert tool.exit_code('--check') == 1
    assert (
        'league.csv has no rows yet; measure them: python tools/analysis_tools/run_matrix.py '
        in (capsys.readouterr().out)
    )
    assert tool.exit_code() == 0 and tool.exit_code('--check') == 0
    assert 'league.png' not in ''.join((copy / page).read_text() for page in PAGES)
    assert (copy / 'docs/results.md').read_text().count('Figures are to come.') == 5
