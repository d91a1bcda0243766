# Copyright (c) mmseg_ctt contributors.
import os
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from pickle import UnpicklingError

import mmcv
import mmengine
import mmseg
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from versions import SAFE_GLOBALS

from mmseg_ctt import compat

lite_only = pytest.mark.skipif(
    not isinstance(sys.modules.get('mmcv._ext'), compat.MissingOps),
    reason='mmcv has compiled ops, or mmseg can do without them',
)
stock_mmengine = pytest.mark.skipif(
    compat._installed('onedl-mmengine') or compat._release(torch.__version__) < (2, 6),
    reason='onedl-mmengine and torch<2.6 load anything',
)


class Reduced:
    """Pickled as a call of any function."""

    def __init__(self, *call) -> None:
        self.call = call

    def __reduce__(self):
        return self.call


def load(path: Path):
    return CheckpointLoader.load_checkpoint(str(path), map_location='cpu')


@lite_only
def test_calling_a_missing_op_names_it_and_full_mmcv():
    from mmcv.ops import DeformConv2d, sigmoid_focal_loss

    with pytest.raises(RuntimeError, match='"deform_conv_forward".*full mmcv'):
        DeformConv2d(2, 2, 3)(torch.rand(1, 2, 8, 8), torch.rand(1, 18, 6, 6))
    with pytest.raises(RuntimeError, match='"sigmoid_focal_loss_forward".*full mmcv'):
        sigmoid_focal_loss(torch.rand(2, 3), torch.tensor([0, 1]), 2.0, 0.25)


@lite_only
def test_placeholder_does_not_pass_for_compiled_ops():
    from mmengine.utils.dl_utils.misc import mmcv_full_available

    assert not mmcv_full_available()
    assert not hasattr(sys.modules['mmcv._ext'], '__file__')


def test_full_mmcv_is_left_untouched(tmp_path: Path):
    package = tmp_path / 'mmcv'
    package.mkdir()
    (package / '__init__.py').write_text("__version__ = '2.1.0'\n")
    (package / '_ext.py').write_text('def nms():\n    return 42\n')
    # compat.py by itself: the package would go on to import mmseg.models, which needs all of mmcv
    code = (
        "import runpy; runpy.run_path(r'%s')['apply'](); import mmcv._ext; "
        'assert mmcv._ext.nms() == 42; assert mmcv._ext.__file__' % compat.__file__
    )
    subprocess.run(
        [sys.executable, '-c', code], check=True, env={**os.environ, 'PYTHONPATH': str(tmp_path)}
    )


def test_torchvision_whose_operators_do_not_fit(tmp_path: Path):
    """It can be imported, and timm; in an interpreter of its own without files of `site`."""
    pytest.importorskip('timm', reason='timm is not installed')
    code = f"""
import runpy, sys
sys.path += {[path for path in sys.path if path]}
import torch
def load(path):
    raise OSError('built for another PyTorch')
torch.ops.load_library = load
try:
    import torchvision
except RuntimeError as error:
    print('refused')
runpy.run_path(r'{compat.__file__}')['_prepare_torchvision']()
import torchvision, timm.layers
try:
    torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
except RuntimeError as error:
    print('no operators')
"""
    result = subprocess.run(
        [sys.executable, '-S', '-c', code], capture_output=True, text=True, check=True
    )
    assert result.stdout.split('\n')[-2] == 'no operators', result.stdout


@pytest.fixture
def checkpoint() -> dict:
    log = HistoryBuffer([1.5, 2.5], [1, 1])
    return dict(
        meta=dict(
            epoch=1,
            score=np.float32(0.5),
            dataset_meta=dict(classes=('road',), palette=np.array([[1, 2, 3]], dtype=np.uint8)),
        ),
        message_hub=dict(
            log_scalars=OrderedDict({'train/loss': log}),
            runtime_info=OrderedDict(best=np.float64(0.25), flag=np.bool_(True)),
        ),
        state_dict=OrderedDict(w=torch.ones(2)),
    )


@stock_mmengine
@pytest.mark.parametrize('core', ['numpy.core', 'numpy._core'])
def test_checkpoint_of_mmengine_loads(tmp_path: Path, checkpoint: dict, core: str):
    path = tmp_path / 'a.pth'
    # The old format is not zipped, so that the names of numpy 1 and numpy 2 can be exchanged.
    torch.save(checkpoint, path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    assert b'.multiarray\n' in data
    for name in (b'numpy.core', b'numpy._core'):
        data = data.replace(b'c' + name + b'.multiarray\n', b'c' + core.encode() + b'.multiarray\n')
    path.write_bytes(data)
    loaded = load(path)
    log = loaded['message_hub']['log_scalars']['train/loss']
    assert log.mean() == 2 and log.current() == 2.5
    assert loaded['meta']['score'] == np.float32(0.5)
    assert loaded['meta']['dataset_meta']['palette'].tolist() == [[1, 2, 3]]
    assert loaded['message_hub']['runtime_info'] == dict(best=0.25, flag=True)


@stock_mmengine
def test_foreign_code_is_refused_and_not_run(tmp_path: Path, checkpoint: dict):
    checkpoint['state_dict']['w'] = Reduced(os.mkdir, (str(tmp_path / 'ran'),))
    torch.save(checkpoint, tmp_path / 'a.pth')
    with pytest.raises(UnpicklingError):
        load(tmp_path / 'a.pth')
    assert not (tmp_path / 'ran').exists()


@stock_mmengine
@pytest.mark.parametrize('target', [(np.ndarray, 'tofile'), (HistoryBuffer, '__init__')])
def test_getattr_reaches_log_statistics_only(tmp_path: Path, target: tuple):
    torch.save(Reduced(getattr, target), tmp_path / 'a.pth')
    with pytest.raises(UnpicklingError):
        load(tmp_path / 'a.pth')


@SAFE_GLOBALS
def test_second_call_changes_nothing():
    before = torch.serialization.get_safe_globals(), sys.modules.get('mmcv._ext')
    compat.apply()
    after = torch.serialization.get_safe_globals(), sys.modules.get('mmcv._ext')
    assert set(map(str, before[0])) == set(map(str, after[0]))
    assert before[1] is after[1]


def test_forks_need_no_placeholder(monkeypatch: pytest.MonkeyPatch):
    patched = []
    monkeypatch.setattr(compat, '_installed', lambda name: name.startswith('onedl-'))
    monkeypatch.setattr(compat, '_add_placeholder', lambda: patched.append('ops'))
    monkeypatch.setattr(compat, '_allow_checkpoint_types', lambda: patched.append('types'))
    compat.apply()
    assert patched == ['types']


def test_configs_are_found_by_name(tmp_path: Path):
    mine = tmp_path / 'mine.py'
    mine.write_text(
        "_base_ = ['mmseg_ctt::ctt/ctt_deeplabv3plus_streets_1-8.py']\n"
        'train_cfg = dict(max_iters=7)\n'
    )
    cfg = Config.fromfile(mine)
    assert cfg.model.type == 'CrossTeacherTraining' and cfg.train_cfg.max_iters == 7
    # a scope of its own would send mmengine to registries that are not there
    assert "'mmseg_ctt'" not in cfg.pretty_text.replace("imports=[\n        'mmseg_ctt',", '')


@pytest.mark.parametrize(
    'module, version, remedy',
    [
        (torch, '1.13.1', 'torch>=2.6'),
        (mmengine, '0.9.1', 'mmengine==0.10.7'),
        (mmcv, '2.2.0', 'mmcv-lite==2.1.0'),
        (mmcv, '1.7.2', 'mmcv-lite==2.1.0'),
        (mmseg, '1.1.2', 'mmsegmentation==1.2.2'),
    ],
)
def test_impossible_version_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, module, version: str, remedy: str
):
    monkeypatch.setattr(compat, '_installed', lambda name: False)
    monkeypatch.setattr(module, '__version__', version)
    with pytest.raises(ImportError) as error:
        compat.apply()
    assert version in str(error.value) and remedy in str(error.value)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('module', ['mmcv', 'ftfy', 'regex'])
def test_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch, module: str):
    monkeypatch.setattr(compat, '_installed', lambda name: False)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=f'needs {module}: pip install .*{module}'):
        compat.apply()


def test_missing_pkg_resources_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    find_spec = compat.importlib.util.find_spec
    monkeypatch.setattr(compat, '_installed', lambda name: False)
    monkeypatch.setattr(
        compat.importlib.util,
        'find_spec',
        lambda name: None if name == 'pkg_resources' else find_spec(name),
    )
    with pytest.raises(ImportError, match='setuptools<81'):
        compat.apply()


def test_numpy_that_torch_cannot_use_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    def unavailable(tensor):
        raise RuntimeError('Numpy is not available')

    monkeypatch.setattr(torch.Tensor, 'numpy', unavailable)
    with pytest.raises(ImportError, match="'numpy<2' 'opencv-python<4.12'") as error:
        compat.apply()
    assert np.__version__ in str(error.value) and '\n' not in str(error.value)
