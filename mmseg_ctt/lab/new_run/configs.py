# Copyright (c) mmseg_ctt contributors.
"""Text of the configs of a run, and their check before they are written."""

import tempfile
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from mmengine.config import Config

from ...engine import prepare_config
from .found import Found
from .lists import Lists
from .networks import USUAL, network
from .sizes import Sizes
from .words import TEST, TRAIN, UNLABELED, VAL

BASE = 'mmseg_ctt::supervised/supervised_deeplabv3plus_mobilenetv2_folder.py'
SUPERVISED = 'supervised'
Line = Tuple[str, str]  # code, comment
NETWORK = "segmentor_from = 'mmseg_ctt::_base_/networks/{}.py'"
WIDTH = 101  # longer lines have their comment above
BANDED = dict(mobilenetv2='BandMobileNetV2')  # networks whose class for photos has no bands


def supervised_text(
    found: Found,
    lists: Lists,
    sizes: Sizes,
    model: str,
    masks: Mapping[str, Tuple[str, str]],
    work_dir: Path,
) -> str:
    """Config of the baseline: network, data and sizes of all runs of the folder.

    Args:
        found (Found): What the folder holds.
        lists (Lists): Lists of the run.
        sizes (Sizes): Numbers of the run.
        model (str): Name of the network.
        masks (Mapping[str, tuple[str, str]]): Folder and ending of the masks of each part.
        work_dir (Path): Of this run.
    """
    lines: List[Line] = [(f'_base_ = [{BASE!r}]', 'schedule, hooks, pipelines')]
    if model != USUAL:
        title = network(model).title
        lines.append((NETWORK.format(model), f'{title}, its weights and optimiser'))
    lines.append((f'root = {str(found.root)!r}', 'change it if the folder moves'))
    lines += _data_lines(found, lists, sizes, masks)
    length = f'num_classes={len(found.labels.names)}, max_iters={sizes.iters}'
    lines.append(
        (
            f'sizes = dict(scale={sizes.scale}, crop_size={sizes.crop}, {length})',
            'width and height of images, height and width of crops',
        )
    )
    if lists.val or VAL in masks:
        lines.append(
            (f'train_cfg = dict(val_interval={sizes.val_interval})', 'iterations between scores')
        )
    lines += _image_lines(found, model)
    lines.append((f'work_dir = {str(work_dir)!r}', 'logs, checkpoints, results'))
    lines.append((f'del {_variables(lines)}', 'nothing reads them any more'))
    return _text('The baseline: what the labelled images alone give.', lines)


def method_text(method: str, sizes: Sizes, work_dir: Path) -> str:
    """Config of a method on the data of the baseline.

    Args:
        method (str): Name of a preset.
        sizes (Sizes): Numbers of the run.
        work_dir (Path): Of this run.
    """
    lines = [
        (f"_base_ = ['./{SUPERVISED}.py']", 'the same network, data and sizes'),
        (f'method = {method!r}', 'a name of configs/_base_/methods'),
        (
            f'train_dataloader = dict(batch_size={2 * sizes.labeled})',
            f'{sizes.labeled} labelled and {sizes.labeled} unlabelled images',
        ),
        (f'work_dir = {str(work_dir)!r}', 'logs, checkpoints, results'),
    ]
    return _text(f'{method}: learns from the unlabelled images too.', lines)


def _text(header: str, lines: Sequence[Line]) -> str:
    return ''.join([f'# {header} Written by new_run.\n', *map(_commented, lines)])


def _commented(line: Line) -> str:
    code, comment = line
    whole = f'{code}  # {comment}\n'
    return whole if len(whole) <= WIDTH else f'# {comment}\n{code}\n'


def _variables(lines: Sequence[Line]) -> str:
    names = [code.partition(' = ')[0] for code, _ in lines]
    return ', '.join(name for name in names if name in ('root', 'images', 'masked'))


def _prefix(found: Found, part: str, masks: Mapping[str, Tuple[str, str]]) -> Tuple[str, str]:
    """``data_prefix`` and further settings of a part with masks, as code."""
    folder, suffix = masks[part]
    prefix = dict(img_path=found.parts[part].images_dir, seg_map_path=folder)
    usual = '.png' if part == TRAIN else masks[TRAIN][1]  # what the setting is without a word
    return _call(prefix), '' if suffix == usual else f', seg_map_suffix={suffix!r}'


def _call(settings: Mapping[str, Any]) -> str:
    return f'dict({", ".join(f"{key}={value!r}" for key, value in settings.items())})'


def _data_lines(
    found: Found, lists: Lists, sizes: Sizes, masks: Mapping[str, Tuple[str, str]]
) -> List[Line]:
    """Lines of the data sets."""
    prefix, more = _prefix(found, TRAIN, masks)
    lines: List[Line] = [
        (f'masked = dict(data_root=root, data_prefix={prefix}{more})', 'images with a mask')
    ]
    unlabeled = 'None'
    if lists.unlabeled:
        folder = found.parts.get(UNLABELED, found.train).images_dir
        code = f'images = dict(data_root=root, data_prefix={_call(dict(img_path=folder))})'
        lines.append((code, 'images without'))
        unlabeled = 'images'
    data = f'dict(split={lists.folder!r}, labeled=masked, unlabeled={unlabeled})'
    lines.append(
        (
            f'train_dataloader = dict(batch_size={sizes.labeled}, dataset={data})',
            'labelled images a step',
        )
    )
    for part in (VAL, TEST):
        own = _evaluated(found, lists, part, masks)
        if own:
            lines.append((f'{part}_dataloader = dict(dataset={own})', f'images of {part}'))
        elif part == TEST and (VAL in masks or lists.val):
            lines.append(('test_dataloader = val_dataloader', 'no other images for a test'))
        else:
            lines.append((f'{part}_dataloader = {part}_evaluator = {part}_cfg = None', 'no image'))
    return lines


def _evaluated(
    found: Found, lists: Lists, part: str, masks: Mapping[str, Tuple[str, str]]
) -> Optional[str]:
    """Data set of a part with a folder of its own, or of a list, as code."""
    if part in masks:
        prefix, more = _prefix(found, part, masks)
        listed = f'{lists.folder}/{part}_folder.txt'
        return f'dict(masked, ann_file={listed!r}, data_prefix={prefix}{more})'
    if part == VAL and lists.val:
        return f"dict(masked, ann_file='{lists.folder}/val.txt')"
    if part == TEST and lists.test and {*lists.test} <= {*found.train.masks}:
        return f"dict(masked, ann_file='{lists.folder}/test.txt')"
    return None


def _image_lines(found: Found, model: str) -> List[Line]:
    """Lines for images that are no photos of 8 bit."""
    images, lines = found.images, []
    loading: Dict[str, Any] = {}
    if images.bands != 3:
        loading['color_type'] = 'unchanged'
    if images.value_range:
        loading['value_range'] = images.value_range
    if loading:
        lines.append((f'image_loading = {_call(loading)}', 'how files become 0 to 255'))
    if images.bands != 3:
        backbone: Dict[str, Any] = dict(in_channels=images.bands)
        if model in BANDED:
            backbone = dict(type=BANDED[model], **backbone)
        norm = dict(mean=images.mean, std=images.std)
        network_code = f'dict(backbone={_call(backbone)}, data_preprocessor={_call(norm)})'
        lines.append((f'model = dict(segmentor={network_code})', 'measured on these images'))
    return lines


def check_texts(texts: Mapping[str, str]) -> None:
    """Read and prepare configs as a run does, without their data.

    Args:
        texts (Mapping[str, str]): Texts by method.

    Raises:
        ValueError: If settings do not go together.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            Path(folder, f'{name}.py').write_text(text, encoding='utf-8')
        for name in texts:
            prepare_config(Config.fromfile(str(Path(folder, f'{name}.py'))))
