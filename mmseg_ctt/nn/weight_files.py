# Copyright (c) mmseg_ctt contributors.
"""Where starting weights come from: a file, an address, or nowhere where a config allows it."""

import json
import os
import socket
import tarfile
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, NamedTuple, Optional
from urllib.parse import urlparse

import torch
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import (
    get_deprecated_model_names,
    get_external_models,
    get_mmcls_models,
    get_torchvision_models,
)

from .ranks import on_main_process

PREFIX = 'pretrained:'
ROOT = 'PRETRAINED_ROOT'  # environment variable
RANDOM = 'random'
TIMEOUT = 30  # seconds without an answer
ZOOS: Dict[str, Callable[[], Dict[str, str]]] = {  # tables of mmengine, by the scheme of an address
    'mmcls': get_mmcls_models,
    'open-mmlab': get_external_models,
    'openmmlab': get_external_models,
    'torchvision': get_torchvision_models,
    'modelzoo': get_torchvision_models,
}


class Source(NamedTuple):
    """Parts of ``pretrained:FILE|ADDRESS|random``.

    Attributes:
        path (Path): The file.
        other (str): Address that mmengine knows; ``random`` where there is none.
        optional (bool): Whether weights stay random where there is neither.
    """

    path: Path
    other: str
    optional: bool


def source_of(checkpoint: str) -> Source:
    """Take ``pretrained:...`` apart; see :func:`pretrained_path`."""
    name, _, rest = checkpoint[len(PREFIX) :].partition('|')
    other, _, last = rest.partition('|')
    if not name or not other or last not in ('', RANDOM):
        raise ValueError(
            f'the checkpoint {checkpoint} must be {PREFIX}FILE|OTHER, such as '
            f'{PREFIX}resnet50.pth|torchvision://resnet50, or {PREFIX}FILE|https://ADDRESS|{RANDOM}'
        )
    if last and not other.startswith('http'):
        raise ValueError(
            f'the checkpoint {checkpoint}: before |{RANDOM} must be an address of http, not {other}'
        )
    path = Path(os.environ.get(ROOT, 'data/pretrained'), name)
    return Source(path, other, RANDOM in (other, last))


def pretrained_path(checkpoint: str) -> str:
    """Where starting weights come from.

    Args:
        checkpoint (str): ``pretrained:FILE|OTHER`` is the file of that name in the folder
            ``$PRETRAINED_ROOT`` (default ``data/pretrained``) if it exists, and OTHER if not: any
            address that mmengine knows, such as ``mmcls://mobilenet_v2``. OTHER may also be
            ``random``, or end with ``|random`` after an address of http: without the file, and
            without network, weights stay random, and a warning says so.

    Returns:
        str: Path or address; any other string as it is.

    Raises:
        ValueError: If OTHER is missing.
    """
    if not checkpoint.startswith(PREFIX):
        return checkpoint
    source = source_of(checkpoint)
    return str(source.path) if source.path.is_file() else source.other


def defect(path: str) -> Optional[str]:
    """Defect of a checkpoint file as the end of a sentence; None if it is intact.

    Args:
        path (str): File that ``torch.save`` wrote in its usual (zip) format, in which every
            part has a checksum. All of it is read.
    """
    if not os.path.isfile(path):
        return 'is missing'
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except Exception:
        # One flipped bit can mark a part as encrypted, as compressed with lzma or as beyond the
        # end of the file; for each of these zipfile raises another type of error.
        return f'is truncated or damaged ({os.path.getsize(path)} bytes)'
    return None if damaged is None else f'is damaged (check sum of {damaged})'


def damage(path: str) -> Optional[str]:
    """Defect of a file of weights of any format as the end of a sentence; None if none is found.

    Args:
        path (str): Of ``torch.save`` or safetensors; an address, or a file that does not exist,
            has no defect.
    """
    if not os.path.isfile(path):
        return None
    size = os.path.getsize(path)
    with open(path, 'rb') as file:
        start = file.read(8)
        if path.endswith('.safetensors'):
            length = int.from_bytes(start, 'little')
            header = file.read(length) if size >= 8 + length else b''
            return None if size == _size(header) else f'is truncated or damaged ({size} bytes)'
    if start[:2] == b'PK' or not start:
        return defect(path)
    if start[0] == 0x80 or tarfile.is_tarfile(path):  # older formats of torch.save
        return None
    return f'is no file of weights (it begins with {start!r}; was it downloaded in full?)'


def _size(header: bytes) -> int:
    """Size of a file of safetensors by its header; -1 if it is none."""
    try:
        entries = json.loads(header)
        ends = [entries[name]['data_offsets'][1] for name in entries if name != '__metadata__']
    except (ValueError, TypeError, KeyError, IndexError):
        return -1
    return 8 + len(header) + max(ends, default=0)


def may_be_random(checkpoint: str) -> bool:
    """Whether weights may stay random where there is no checkpoint."""
    return checkpoint.startswith(PREFIX) and source_of(checkpoint).optional


def web_address(address: str) -> Optional[str]:
    """Address of http of a file of weights.

    Args:
        address (str): Any that mmengine knows, such as ``mmcls://mobilenet_v2``.

    Returns:
        str | None: None for a local file, and for a name that its model zoo does not have.
    """
    scheme, _, name = address.partition('://')
    if scheme in ('http', 'https'):
        return address
    if scheme not in ZOOS:
        return None
    if ZOOS[scheme] is get_external_models:
        name = get_deprecated_model_names().get(name, name)
    found = ZOOS[scheme]().get(name, '')
    return found if found.startswith('http') else None


def download_path(address: str) -> Optional[Path]:
    """File that a download is kept in, and read from where it exists; None as above."""
    url = web_address(address)
    if url is None:
        return None
    return Path(torch.hub.get_dir(), 'checkpoints', os.path.basename(urlparse(url).path))


def remedy(checkpoint: str, key: str) -> str:
    """What to do where weights cannot be downloaded: the file to put where, or a random start.

    Args:
        checkpoint (str): As a config names it.
        key (str): Config key of the weights, such as ``model.backbone.init_cfg``.
    """
    address = pretrained_path(checkpoint)
    ways = [f'copy {web_address(address) or address} to {download_path(address)}']
    if checkpoint.startswith(PREFIX):
        path = source_of(checkpoint).path
        ways.append(f'put {path.name} into {path.parent} or the folder that {ROOT} names')
    if key.endswith('init_cfg'):
        ways.append(f'set {key}=None to start from random weights')
    return ', or '.join(ways)


def random_start(checkpoint: str) -> str:
    """Warning that weights are random, with the remedy."""
    path, other, _ = source_of(checkpoint)
    tried = '' if other == RANDOM else f', and {other} cannot be reached'
    return (
        f'RANDOM WEIGHTS: there is no {path}{tried}. Scores will be far below those of the '
        f'pre-trained network: put the file there, or set {ROOT} to the folder that has it'
    )


@CheckpointLoader.register_scheme(prefixes=PREFIX)
def load_from_pretrained(filename: str, map_location: Any = None) -> dict:
    """Checkpoint of ``dict(type='Pretrained', checkpoint='pretrained:FILE|OTHER')``.

    It is empty where weights stay random. The first process looks for the file and tries the
    network, and all read what it has found: in mmengine they wait for each other's downloads.

    Raises:
        FileNotFoundError: If the first process has the file, and this one does not.
    """
    path = on_main_process(lambda: _found(filename))
    if path == RANDOM:
        return dict(state_dict={})
    if path != source_of(filename).other and not os.path.isfile(path):
        raise FileNotFoundError(
            f'{filename}: the first process reads {path}, which is missing on '
            f'{socket.gethostname()}: put it there too, or set {ROOT} to a folder of all nodes'
        )
    return CheckpointLoader.load_checkpoint(path, map_location)


@CheckpointLoader.register_scheme(prefixes=r'.*\.safetensors$')
def load_from_safetensors(filename: str, map_location: Any = None) -> dict:
    """Checkpoint of a local file of safetensors.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If safetensors, which comes with timm, is not installed.
    """
    try:
        from safetensors.torch import load_file
    except ImportError:
        raise ValueError(f"{filename} needs safetensors: pip install 'mmseg_ctt[timm]'") from None
    if not Path(filename).is_file():
        raise FileNotFoundError(f'{filename} can not be found.')
    return load_file(filename, device=str(map_location or 'cpu'))


def _found(checkpoint: str) -> str:
    """Path or address of weights; ``random`` where they may be, and an address is out of reach."""
    path = pretrained_path(checkpoint)
    if not may_be_random(checkpoint) or not path.startswith('http'):
        return path
    try:
        with _timeout():
            torch.hub.load_state_dict_from_url(path, map_location='cpu', progress=False)
    except OSError:  # of every kind of missing network
        return RANDOM
    return path


@contextmanager
def _timeout() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
