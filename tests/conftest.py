# Copyright (c) mmseg_ctt contributors.
import functools
import sys
from pathlib import Path
from typing import Callable, Iterator

import matplotlib
import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the package need not be installed

import mmseg_ctt  # noqa: E402, F401, before anything imports mmseg
from mmseg_ctt.noise import WARNINGS  # noqa: E402

# isort: split
from scripts import Script  # noqa: E402
from shared_folder import VARIABLE, shared_folder  # noqa: E402
from toy_data import freeze_imports, write_toy_data  # noqa: E402

# --doctest-modules would look for examples in what tests share, and trip over the second conftest
collect_ignore = [
    str(path) for path in Path(__file__).parent.rglob('*.py') if not path.name.startswith('test_')
]
matplotlib.use('Agg')
torch.set_num_threads(1)  # toy tensors: threads would only wait for one another
# how long PyTorch waits for a worker that a failed loader leaves behind; it has 5 seconds
torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL = 0.5


def pytest_configure(config: pytest.Config) -> None:
    """The filters of the package, of which pytest forgets those that an import has set."""
    for noise in WARNINGS:
        message = noise.message.replace(':', r'\x3a')  # a colon separates the parts of a line
        config.addinivalue_line('filterwarnings', f'ignore:{message}:{noise.category.__name__}')


@pytest.fixture(scope='session')
def repo_root() -> Path:
    return ROOT


@pytest.fixture(scope='session')
def shared_dir() -> Path:
    """The shared folder with its real data; see ``shared_folder``."""
    path = shared_folder()
    if not (path / 'data').is_dir():
        pytest.skip(
            f'{path / "data"} does not exist: real images, which the repository may not hold; set '
            f'{VARIABLE} to the folder above. Without it toy data holds the same code'
        )
    return path


@pytest.fixture(scope='session', autouse=True)
def volume_cache(tmp_path_factory) -> Iterator[None]:
    """No test fills the cache of volumes in the home of who runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MMSEG_CTT_VOLUME_CACHE', str(tmp_path_factory.mktemp('volumes')))
        yield


@pytest.fixture(scope='module', autouse=True)
def imports_frozen() -> None:
    """Before each file, since the last one may have imported much."""
    freeze_imports()


@pytest.fixture(autouse=True)
def mmseg_scope():
    """Registries look names up in mmseg, as they do in a run."""
    from mmengine.registry import DefaultScope
    from mmseg.utils import register_all_modules

    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


@pytest.fixture(scope='session')
def load_tool() -> Callable[[str], Script]:
    """Scripts by their place in ``tools/``, such as ``misc/browse_semi``; each is loaded once."""
    return functools.lru_cache(maxsize=None)(Script)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The toy data set, new for each test."""
    return write_toy_data(tmp_path / 'data')
