# Copyright (c) mmseg_ctt contributors.
"""The published figures of docs/guide/which_method.md are those of the metafiles."""

import pytest


@pytest.fixture
def tool(load_tool):
    return load_tool('misc/make_comparison')


def test_up_to_date(tool, capsys):
    assert tool.exit_code('--check') == 0, capsys.readouterr().out


def test_published_figures_stand_in_their_columns(tool):
    """UniMatch on VOC, ResNet-101, and the ratio of Cityscapes."""
    voc = tool.module.published_table('VOC', tool.module.PARTITIONS['VOC'])
    assert '| ResNet-101 | 75.2 | 77.2 | 78.8 | 79.9 | 81.2 |' in voc
    city = tool.module.published_table('Cityscapes', tool.module.PARTITIONS['Cityscapes'])
    assert '| DINOv2-B | 83.6 | 84.3 | 84.5 | 85.1 |' in city


def test_an_entry_of_another_form_is_an_error(tool, tmp_path):
    folder = tmp_path / 'configs' / 'a'
    folder.mkdir(parents=True)
    folder.joinpath('metafile.yaml').write_text(
        "Collections: [{Name: A, Metadata: {Published mIoU: ['VOC, 70.0']}}]"
    )
    with pytest.raises(ValueError, match="'VOC, 70.0' is not"):
        tool.module.published(tmp_path)
