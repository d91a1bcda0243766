# Copyright (c) mmseg_ctt contributors.
"""Settings that fit no input end the call early; those that fit some do not."""

import pytest
from test_predict import call, names_in, of_bands, run  # noqa: F401, a fixture
from toy_data import write_image
from toy_rasters import values_of, write_raster

from mmseg_ctt.datasets.windows import Windows


@pytest.fixture
def refused(tmp_path):
    """Twelve images of three bands, behind a damaged one."""
    for number in range(12):
        write_image(tmp_path / f'in/{number:02d}.png', number)
    (tmp_path / 'in/00a.png').write_bytes(b'nothing of this kind')
    return tmp_path / 'in'


def test_wrong_bands_end_the_call_after_ten_inputs(run, refused, tmp_path):  # noqa: F811
    used, lines = of_bands(run, 4), []
    words = (
        r'^the first 10 intact inputs .*00\.png has 3 channels where 4 .*Look at the settings of '
        r'.*\(bands, image_loading.value_range\)'
    )
    with pytest.raises(ValueError, match=words):
        call(used, refused, tmp_path / 'out', used.cfg, report=lines.append)
    assert not lines and not (tmp_path / 'out').exists()


def test_no_more_than_ten_rasters_are_scanned_for_their_range(
    run,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    scanned, values = [], Windows.values
    for number in range(12):
        write_raster(tmp_path / f'in/{number:02d}.tif', values_of(5, dtype='uint16'))
    monkeypatch.setattr(Windows, 'values', lambda self: scanned.append(1) or values(self))
    used = of_bands(run, 5)
    with pytest.raises(ValueError, match='first 10 intact inputs .*Set image_loading.value_range'):
        call(used, tmp_path / 'in', tmp_path / 'out', used.cfg)
    assert len(scanned) == 10


def test_a_few_refused_inputs_may_be_of_wrong_settings(run, tmp_path):  # noqa: F811
    """Each reason is printed once, and the advice names files and settings."""
    used, lines = of_bands(run, 4), []
    for number in range(5):
        write_image(tmp_path / f'in/{number}.png', number)
    words = r'5 of 5 inputs .*and 2 more, listed above: .*Repair the files, or look at the settings'
    with pytest.raises(ValueError, match=words) as error:
        call(used, tmp_path / 'in', tmp_path / 'out', used.cfg, report=lines.append)
    said = '\n'.join([*lines, str(error.value)])
    assert [said.count(f'/{number}.png') for number in range(5)] == [1] * 5


def test_settings_that_have_fitted_are_not_doubted(run, refused, tmp_path):  # noqa: F811
    """After a first input, and in a second call, any number is left out."""
    used, out = of_bands(run, 4), tmp_path / 'out'
    write_raster(refused / '0.tif', values_of(4))
    for _ in range(2):
        with pytest.raises(ValueError, match='13 of 14 inputs .*which keeps what is predicted'):
            call(used, refused, out, used.cfg)
    assert names_in(out) == ['labels/0.tif', 'prediction.json']


def test_damaged_inputs_say_nothing_about_the_settings(run, tmp_path):  # noqa: F811
    for number in range(12):
        path = tmp_path / f'in/{number:02d}.png'
        write_image(path, number)
        path.write_bytes(path.read_bytes()[:40])
    write_image(tmp_path / 'in/good.png', 0)
    with pytest.raises(ValueError, match='12 of 13 inputs could not be predicted'):
        call(run, tmp_path / 'in', tmp_path / 'out')
    assert names_in(tmp_path / 'out/labels') == ['good.png']
