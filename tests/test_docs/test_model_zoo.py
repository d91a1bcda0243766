# Copyright (c) mmseg_ctt contributors.
"""Every folder of configs has what the model zoo of mmseg's tools wants, and figures agree."""

import re
import shutil

import pytest
import yaml
from leaves import CONFIGS, FOLDERS, LEAVES
from pages import ROOT

# Data that every method of a task has: street scenes (without labels too), volumes, several raters.
DEFAULTS = ('camvid_1-8', 'camvid', 'la2d', 'la3d', 'drive', 'msrc21')


def metafile(folder: str) -> dict:
    return yaml.safe_load((CONFIGS / folder / 'metafile.yaml').read_text())


def models(folder: str) -> list:
    return metafile(folder)['Models']


def test_the_index_is_made_from_the_metafiles(load_tool, tmp_path, monkeypatch, capsys):
    script = load_tool('misc/make_model_index')
    assert script.exit_code('--check') == 0, 'run tools/misc/make_model_index.py'
    imported = yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']
    assert imported == [f'configs/{folder}/metafile.yaml' for folder in FOLDERS]

    for folder in FOLDERS[:2]:
        (tmp_path / 'configs' / folder).mkdir(parents=True)
        shutil.copy(CONFIGS / folder / 'metafile.yaml', tmp_path / 'configs' / folder)
    monkeypatch.setattr(script.module, 'ROOT', tmp_path)
    assert script.exit_code('--check') == 2 and 'out of date' in capsys.readouterr().err
    assert script.exit_code() == 0 and script.exit_code('--check') == 0
    assert (tmp_path / 'model-index.yml').read_text().count('metafile.yaml') == 2
    (tmp_path / 'configs' / FOLDERS[0] / 'metafile.yaml').write_text('Models: []\n')
    assert script.exit_code() == 2 and 'no Collections' in capsys.readouterr().err


@pytest.mark.parametrize('folder', FOLDERS)
def test_promised_endings(folder):
    """Every ending that the metafile promises is there, and no config is without one."""
    (collection,) = metafile(folder)['Collections']
    endings = collection['Metadata']['Endings']
    stems = [path.stem for path in CONFIGS.joinpath(folder).glob('*.py')]
    assert len(set(endings)) == len(endings)
    for ending in endings:
        assert any(stem.endswith(f'_{ending}') for stem in stems), ending
    for stem in stems:
        assert any(stem.endswith(f'_{ending}') for ending in endings), stem
    assert any(ending.endswith(DEFAULTS) for ending in endings)


@pytest.mark.parametrize('folder', FOLDERS)
def test_metafile(folder):
    (collection,) = metafile(folder)['Collections']
    assert (ROOT / collection['README']).is_file()
    names = [model['Name'] for model in models(folder)]
    assert names and len(set(names)) == len(names)
    for model in models(folder):
        assert model['In Collection'] == collection['Name']
        assert model['Config'] == f'configs/{folder}/{model["Name"]}.py'
        assert f'{folder}/{model["Name"]}.py' in LEAVES
        assert model['Metadata']['Iterations'] > 0
        assert model['Metadata']['Training Data'] in collection['Metadata']['Training Data']
        assert not model.get('Results') or model['Metadata']['Training Resources']


@pytest.mark.parametrize('folder', FOLDERS)
def test_lists_are_of_words(folder):
    """MIM joins the entries of every list, and takes empty ones for an error."""
    described = [*metafile(folder)['Collections'], *models(folder)]
    for metadata in (part['Metadata'] for part in described):
        for key, value in metadata.items():
            if isinstance(value, list):
                assert value and all(isinstance(entry, str) for entry in value), key


@pytest.mark.parametrize('folder', FOLDERS)
def test_figures_are_those_of_the_readme(folder):
    for model in models(folder):
        for result in model.get('Results') or ():
            assert result['Dataset'] == model['Metadata']['Training Data']
            readme = (ROOT / model.get('README', f'configs/{folder}/README.md')).read_text()
            assert f'{result["Metrics"]["mIoU"]:.2f}' in readme, model['Name']


DATA = '(VOC|Cityscapes|ADE20K|COCO)( augmented| blended| own lists)?'
PUBLISHED = re.compile(DATA + r' (\d+|1/\d+), [^:,]+: \d\d(\.\d{1,2})?')


@pytest.mark.parametrize('folder', FOLDERS)
def test_published_figures_can_be_read(folder):
    """Data, partition, network and mIoU, and where they stand."""
    metadata = metafile(folder)['Collections'][0]['Metadata']
    for entry in metadata.get('Published mIoU', ()):
        assert PUBLISHED.fullmatch(entry), entry
    assert ('Published mIoU' in metadata) <= ('Published From' in metadata)
