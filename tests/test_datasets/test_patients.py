# Copyright (c) mmseg_ctt contributors.
import pytest

from mmseg_ctt.datasets.patients import PatientRule, check_patients


def infos(*patients):
    return [dict(img_path=f'{name}.png', patient=name) for name in patients]


def test_the_first_group_is_the_patient():
    rule = PatientRule('(.+)_z[0-9]+', 'D')
    assert rule.of('06SR5RBR_z15') == '06SR5RBR'
    assert PatientRule(None, 'D').of('06SR5RBR_z15') is None


@pytest.mark.parametrize(
    'pattern, message',
    [('(', 'is no regular expression'), ('a.+', 'has no group'), (3, 'is no regular expression')],
)
def test_wrong_pattern(pattern, message):
    with pytest.raises(ValueError, match=f'D: patient=.*{message}'):
        PatientRule(pattern, 'D')


def test_a_name_that_does_not_fit():
    with pytest.raises(ValueError, match="D: patient='.*' does not match the name 'a.b'"):
        PatientRule('(.+)_z[0-9]+', 'D').of('a.b')


def test_a_patient_on_both_sides():
    sets = dict(labeled=infos('a', 'b'), unlabeled=infos('c', 'd'), val=infos('d', 'c', 'e'))
    with pytest.raises(ValueError, match=r'2 patients are in both unlabeled and val, e.g. c, d'):
        check_patients(sets)
    del sets['unlabeled']
    assert check_patients(sets) == ['labeled', 'val']


def test_unknown_patients_pass():
    assert check_patients(dict(a=[dict(img_path='x')], b=infos(None), c=infos('x'))) == ['c']
