# Copyright (c) mmseg_ctt contributors.
import math
import uuid

import pytest
from mmengine.logging import MessageHub

from mmseg_ctt.nn.schedule import RampUp, Shifts, StartPoint, iterations, training_progress


@pytest.fixture(autouse=True)
def no_run():
    """No run is under way, whatever ran before."""
    MessageHub.get_instance(uuid.uuid4().hex)  # the current one from now on


def run_at(done, total):
    hub = MessageHub.get_current_instance()
    hub.update_info('iter', done)
    hub.update_info('max_iters', total)


@pytest.mark.parametrize('done,total,want', [(0, 10, 0), (3, 12, 0.25), (10, 10, 1), (12, 10, 1)])
def test_progress_of_the_iterations(done, total, want):
    assert training_progress() == 0 and iterations() == (0, 0)
    run_at(done, total)
    assert training_progress() == want and iterations() == (done, total)


@pytest.mark.parametrize(
    'done,ratio,want',
    [(0, 0.4, 0), (1, 0.4, 0.25), (4, 0.4, 1), (9, 0.4, 1), (5, 1, 0.5), (0, 0, 1), (5, 0, 1)],
)
def test_linear_ramp(done, ratio, want):
    ramp = RampUp(ratio)
    assert ramp() == 1  # no run is under way: losses as they are
    run_at(done, 10)
    assert ramp() == pytest.approx(want)


@pytest.mark.parametrize('done,progress', [(0, 0), (1, 0.25), (2, 0.5), (4, 1), (9, 1)])
def test_sigmoid_ramp(done, progress):
    run_at(done, 10)
    assert RampUp(0.4, 'sigmoid')() == pytest.approx(math.exp(-5 * (1 - progress) ** 2))


def test_cosine_ramp():
    run_at(1, 10)
    assert RampUp(0.4, 'cosine')() == pytest.approx(math.sin(math.pi / 8) ** 2)


def test_from_a_config():
    number, settings = RampUp.of(0.3), RampUp.of(dict(ratio=0.3, shape='sigmoid'))
    assert (number.ratio, number.shape) == (0.3, 'linear')
    assert (settings.ratio, settings.shape) == (0.3, 'sigmoid')


@pytest.mark.parametrize(
    'given,message',
    [
        (-0.1, r'^model.ramp_up is a ratio of the training, in \[0, 1\]; got -0.1'),
        (dict(ratio=1.5), r'^model.ramp_up is a ratio .* got 1.5'),
        (dict(ratio=0.5, shape='step'), r"^model.ramp_up.shape must be one of .*'step'"),
        (dict(length=3), r"^model.ramp_up has unknown settings \['length'\]; .*'ratio'"),
    ],
)
def test_bad_settings(given, message):
    with pytest.raises(ValueError, match=message):
        RampUp.of(given)


def test_anything_else_is_no_ramp():
    with pytest.raises(TypeError, match='^model.ramp_up must be a dict of settings, got'):
        RampUp.of('slowly')


@pytest.mark.parametrize(
    'given,ratio', [(None, 0.25), (0.4, 0.4), (dict(ratio=0.4), 0.4), (0, 0.0)]
)
def test_what_is_not_given_is_the_default_of_the_method(given, ratio):
    ramp = RampUp.of(given, dict(ratio=0.25, shape='sigmoid'))
    assert (ramp.ratio, ramp.shape) == (ratio, 'sigmoid')


@pytest.mark.parametrize(
    'given, total, want', [(3, 10, 3), (0, 10, 0), (0.25, 8, 2), (0.0, 8, 0), (9, 5, 9)]
)
def test_start_point(given, total, want):
    start = StartPoint('model.start', given)
    assert start() and start.iteration(total) == want  # outside of a run it is reached
    for done in range(total + 1):
        run_at(done, total)
        assert start() == (done >= want)


@pytest.mark.parametrize(
    'given, error', [(-1, ValueError), (1.0, ValueError), (True, TypeError), ('3', TypeError)]
)
def test_wrong_start_point(given, error):
    with pytest.raises(error, match=r'^model\.start must be'):
        StartPoint('model.start', given)


# ---- shifts


def shifts_at(shifts, steps, total):
    found = []
    for done in range(steps):
        run_at(done, total)
        found.append((shifts.active(), shifts.done(0), shifts.done(1)))
    return found


def test_shifts_of_two_members():
    """Each counts its own iterations; with restart those of the present shift alone."""
    assert Shifts('key', 2).active() == 0  # no run is under way
    active, first, second = zip(*shifts_at(Shifts('key', 2), 7, 100))
    assert active == (0, 0, 1, 1, 0, 0, 1)
    assert first == (0, 1, 2, 2, 2, 3, 4) and second == (0, 0, 0, 1, 2, 2, 2)
    active, first, second = zip(*shifts_at(Shifts('key', 2, restart=True), 7, 100))
    assert active == (0, 0, 1, 1, 0, 0, 1)
    assert (first[4], first[5], second[2], second[3], second[6]) == (0, 1, 0, 1, 0)


def test_shifts_as_a_ratio_of_the_run():
    active = [member for member, *_ in shifts_at(Shifts('key', 0.25, 3), 8, 8)]
    assert active == [0, 0, 1, 1, 2, 2, 0, 0]
    assert [member for member, *_ in shifts_at(Shifts('key', 0.01), 3, 3)] == [0, 1, 0]


@pytest.mark.parametrize('given', [0, -1, 1.0, 0.0])
def test_periods_that_are_none(given):
    with pytest.raises(ValueError, match='key must be a number of iterations'):
        Shifts('key', given)
    with pytest.raises(TypeError, match='key must be a number, got True'):
        Shifts('key', True)
