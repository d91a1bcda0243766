# Copyright (c) mmseg_ctt contributors.
"""The picture of docs/league.md."""

import math

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from mmseg_ctt.lab.experiments import league_chart
from mmseg_ctt.lab.experiments.league import Standing


def pictured(path, questions, share=0.5, seeds=3):
    """The picture of one method with the same share on all questions, and its checksum."""
    rows = [Standing('ctt', dict.fromkeys(questions, share), dict.fromkeys(questions, seeds))]
    league_chart.save_league(path, rows, questions, 'share, %')
    return league_chart.checksum_of(rows, questions, 'share, %')


@pytest.fixture
def drawn(monkeypatch):
    """Marks that a picture draws, without those of no points; bars; and texts of its legend."""
    found = dict(marks=[], bars=[], legend=[])
    scatter, barh, legend = Axes.scatter, Axes.barh, Figure.legend

    def noted_marks(axes, x, y, **style):
        found['marks'] += [style] if x else []
        return scatter(axes, x, y, **style)

    def noted_bars(axes, place, width, **style):
        found['bars'].append(style)
        return barh(axes, place, width, **style)

    def noted_legend(figure, handles, labels, **given):
        found['legend'] += labels
        return legend(figure, handles, labels, **given)

    monkeypatch.setattr(Axes, 'scatter', noted_marks)
    monkeypatch.setattr(Axes, 'barh', noted_bars)
    monkeypatch.setattr(Figure, 'legend', noted_legend)
    return found


def test_every_question_has_a_mark_of_its_own(tmp_path, drawn):
    questions = [f'q{i}' for i in range(10)]
    pictured(tmp_path / 'a.png', questions)
    assert [style['label'] for style in drawn['marks']] == questions
    assert len({style['marker'] for style in drawn['marks']}) == 10
    with pytest.raises(ValueError, match='has marks for 10 questions, got 11'):
        pictured(tmp_path / 'b.png', [*questions, 'q10'])


def test_rows_of_few_seeds_are_hollow(tmp_path, drawn):
    rows = [
        Standing('full', dict(photos=0.5, slices=0.4), dict(photos=3, slices=3)),
        Standing('few', dict(photos=0.5, slices=0.4), dict(photos=3, slices=2)),
        Standing('part', dict(photos=0.5, slices=math.nan), dict(photos=3, slices=0)),
    ]
    league_chart.save_league(tmp_path / 'a.png', rows, ['photos', 'slices'], 'share, %')
    assert [style['facecolors'] == 'none' for style in drawn['marks']] == [False, True] * 2
    assert [style['facecolor'][3] for style in drawn['bars']] == [0.45, 0]
    assert drawn['legend'] == ['photos', 'slices', 'mean', 'hollow: fewer than 3 seeds']


def test_full_rows_alone_are_without_a_word_on_seeds(tmp_path, drawn):
    pictured(tmp_path / 'a.png', ['photos'])
    assert drawn['legend'] == ['photos', 'mean']


def test_a_picture_of_few_seeds_alone_names_its_questions(tmp_path, drawn):
    pictured(tmp_path / 'a.png', ['photos'], seeds=1)
    assert drawn['legend'] == ['photos', 'mean', 'hollow: fewer than 3 seeds']


def test_a_picture_has_the_checksum_of_its_figures(tmp_path):
    path = tmp_path / 'a.png'
    assert league_chart.saved_checksum(path) is None
    first = pictured(path, ['photos', 'slices'])
    assert league_chart.saved_checksum(path) == first
    assert pictured(path, ['photos', 'slices']) == first
    assert pictured(path, ['photos', 'slices'], share=0.51) != first
    assert pictured(path, ['photos']) != first
    assert pictured(path, ['photos', 'slices'], seeds=4) == first  # drawn alike
    assert pictured(path, ['photos', 'slices'], seeds=2) != first
    Image.new('L', (1, 1)).save(path)
    assert league_chart.saved_checksum(path) is None
