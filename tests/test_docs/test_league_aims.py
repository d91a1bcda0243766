# Copyright (c) mmseg_ctt contributors.
"""The table of aims of docs/league.md."""

import pytest
from toy_league import league, row

QUESTIONS = {f'q{i}': f'q{i}_all' for i in range(5)}
METHODS = ('plain', 'ctt_plus', 'ctt', 'lucky')
# gains of two seeds on each question; the gap is 10 points, so that a mean of 5 is half of it
NETWORK = [(4, 8), (5, 5), (9, 9), (0, -1), (1, 2)]
ENSEMBLE = [(4, 8), (5, 5), (20, 20), (4, 4), (3, 3)]
SCORES = dict(teacher0=NETWORK, teacher1=NETWORK, ensemble=ENSEMBLE)


@pytest.fixture
def table(load_tool):
    aims_table = load_tool('misc/make_league').module.aims_table

    def lines(rows):
        """Cells of both columns, of the head and of each row."""
        text = aims_table(league(rows, METHODS, QUESTIONS, 'teacher0'))
        head, _, *body = [line.strip('| ').split(' | ')[2:] for line in text.splitlines()[2:]]
        return text, head, body

    return lines


def ends():
    for question, full in QUESTIONS.items():
        for seed, low in enumerate((40, 44)):
            yield row('plain', question, low, seed, 'model')
            yield row('plain', full, low + 10, seed, 'model')


def scored(method, gains_by_member, seeds=(0, 1), eval_set='val'):
    for member, gains in gains_by_member.items():
        for question, pair in zip(QUESTIONS, gains):
            for seed in seeds:
                yield row(method, question, (40, 44)[seed] + pair[seed], seed, member, eval_set)


def test_aims_of_the_network_and_of_the_ensemble(table):
    text, head, body = table(
        [
            *ends(),
            *scored('ctt_plus', SCORES),
            *scored('ctt', dict(teacher0=[(1, 1)] * 5), seeds=[0]),
            *scored('lucky', dict(teacher0=[(9, 9)] * 5), seeds=[0]),  # has fewer seeds
        ]
    )
    assert text.startswith(
        'Validation images, means over (number of) seeds:\n\n| `ctt_plus` | aim '
    )
    assert head == ['`teacher0`, one network (2)', 'ensemble (2)']
    assert body == [
        ['3: met', '3: met'],
        ['5.0 %: missed', '35.0 %: met'],
        ['-0.50: missed', '3.00: met'],
        ['-1.00: missed', '3.00: met'],
        ['42.0 %, `ctt_plus`: missed', '76.0 %, `ctt_plus`: met'],
        ['42.0 %, `ctt_plus`: missed', '56.0 %, `ctt_plus`: missed'],
        ['10.0 % (1)', 'not measured'],
    ]


def test_the_best_method_may_be_another(table):
    lucky = scored('lucky', dict(teacher0=[(6, 6)] * 5))
    _, _, body = table([*ends(), *scored('ctt_plus', SCORES), *lucky])
    assert body[4] == ['60.0 %, `lucky`: met', '76.0 %, `ctt_plus`: met']


def test_a_gain_of_nothing_is_no_loss(table):
    """The mean of 0.4, 0.6 and -1 is a little below 0 in floating point."""
    rows = [row('plain', name, low, seed, 'model') for name in QUESTIONS
            for seed, low in enumerate((40.9, 40.7, 40.5))]  # fmt: skip
    rows += [row('plain', full, 50, 0, 'model') for full in QUESTIONS.values()]
    rows += [row('ctt_plus', name, score, seed, 'teacher0') for name in QUESTIONS
             for seed, score in enumerate((41.3, 41.3, 39.5))]  # fmt: skip
    _, _, body = table(rows)
    assert body[2][0] == '0.00: met' and body[3][0] == '-1.00: missed'


@pytest.mark.parametrize('methods', [[], ['ctt_plus']])
def test_what_is_missing_is_neither_met_nor_missed(table, methods):
    """No row, or those of one question alone, of one network."""
    rows = [row(method, 'q0', 50, 0, 'teacher0') for method in methods]
    text, head, body = table([*ends(), *rows])
    assert head == ['`teacher0`, one network (0)', 'ensemble (0)']
    assert body == [['not measured'] * 2] * 7


def test_aims_are_of_the_test_images_where_they_are_measured(table):
    tested = [{**one, 'eval_set': 'test'} for one in ends()]
    gains = dict(teacher0=[(6, 6)] * 5)
    rows = [
        *ends(),
        *tested,
        *scored('ctt_plus', SCORES),
        *scored('ctt_plus', gains, eval_set='test'),
    ]
    text, _, body = table(rows)
    assert text.startswith('Test images') and body[0][0] == '5: met'
