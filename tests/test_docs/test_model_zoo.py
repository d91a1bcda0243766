# Copyright (c) mmseg_ctt contributors.
"""Every folder of configs has what the model zoo of mmseg's tools wants, and figures agree."""

import pytest
import yaml
from pages import ROOT

NO_METHOD = ('_base_', 'matrices')
METHODS = sorted(
    path.name
    for path in (ROOT / 'configs').iterdir()
    if path.is_dir() and path.name not in NO_METHOD and any(path.glob('*.py'))
)


def read(path: str) -> dict:
    return yaml.safe_load((ROOT / path).read_text())


def test_the_index_has_every_method():
    wanted = {f'configs/{method}/metafile.yaml' for method in METHODS}
    assert set(read('model-index.yml')['Import']) == wanted


@pytest.mark.parametrize('method', METHODS)
def test_metafile(method):
    meta = read(f'configs/{method}/metafile.yaml')
    collections = {one['Name']: one for one in meta['Collections']}
    for collection in collections.values():
        assert (ROOT / collection['README']).is_file()
        assert collection['Metadata']['Training Data']
    names = [model['Name'] for model in meta.get('Models') or ()]
    assert len(set(names)) == len(names)
    for model in meta.get('Models') or ():
        assert model['In Collection'] in collections
        assert model['Config'] == f'configs/{method}/{model["Name"]}.py'
        assert (ROOT / model['Config']).is_file()
        assert model['Metadata']['Iterations'] > 0
        assert not model.get('Results') or model['Metadata']['Training Resources']


@pytest.mark.parametrize('method', METHODS)
def test_figures_are_those_of_the_readme(method):
    meta = read(f'configs/{method}/metafile.yaml')
    for model in meta.get('Models') or ():
        for result in model.get('Results') or ():
            assert result['Dataset'] in str(meta['Collections'])
            readme = (ROOT / model.get('README', f'configs/{method}/README.md')).read_text()
            assert f'{result["Metrics"]["mIoU"]:.2f}' in readme, model['Name']
