# Copyright (c) mmseg_ctt contributors.
"""Export of one member as a plain mmseg config and a plain ``EncoderDecoder`` checkpoint."""

from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

from mmengine.config import Config
from mmseg.registry import DATASETS

from ...datasets.whole_files import write_whole
from ...datasets.wrappers import leaf_configs
from ...engine.out_paths import check_out_folder, check_plain_name
from ...version import __version__
from ..checkpoint import build_network, load_weights, without_pretrained
from .adapters import plain_backbone, tuning_notes
from .checkpoint import checkpoint_bytes, inference_part
from .foundation import stock_backbone
from .heads import stock_head
from .members import State, choose_member, member_names, member_state, segmentor_config
from .stock_config import stock_config
from .stock_types import PACKAGE, kept_types, refuse_own, stock_losses


class Export(NamedTuple):
    """Plain model of one member.

    Attributes:
        config (Config): For stock mmseg.
        checkpoint (dict): ``state_dict`` and ``meta``.
        member (str | None): Name of the member; None if the run has none.
        notes (list[str]): Notes for the user.
    """

    config: Config
    checkpoint: Dict[str, Any]
    member: Optional[str]
    notes: List[str]


def export_member(
    cfg: Config, checkpoint: Mapping[str, Any], member: Optional[str] = None
) -> Export:
    """Export one member as a plain model.

    Args:
        cfg (Config): Config of the run.
        checkpoint (Mapping): From :func:`read_checkpoint`.
        member (str, optional): ``student0``, ``teacher0``, ..., ``mean-student`` or
            ``mean-teacher``. Defaults to None: the one that ``test_cfg.predict_on`` names.

    Returns:
        Export: Built once and loaded without a missing or unexpected weight.

    Raises:
        ValueError: If there is no such member, a part has no counterpart in stock mmseg, or
            config and checkpoint do not fit.
    """
    source = checkpoint['state_dict']
    notes: List[str] = []
    member = choose_member(cfg.model, member_names(source), member)
    segmentor = segmentor_config(cfg.model, member, cfg.get('data_preprocessor'))
    model, state = stock_model(segmentor, member_state(source, member))
    meta = dict(checkpoint.get('meta') or {})
    config = stock_config(cfg, model, meta.get('dataset_meta') or {}, notes)
    if config.get('train_dataloader'):
        notes += tuning_notes(segmentor)
    load_weights(build_network(model), state, 'the checkpoint')  # raises if it does not fit
    meta.update(cfg=config.pretty_text, dataset_meta=_dataset_meta(meta, config))
    if member is not None:
        meta['member'] = member
    return Export(config, inference_part(dict(meta=meta, state_dict=state)), member, notes)


def write_export(export: Export, out_dir: Union[str, Path], name: str) -> Tuple[Path, Path]:
    """Write ``<name>.py`` and ``<name>.pth``, each atomically.

    Returns:
        tuple[Path, Path]: Config and checkpoint.

    Raises:
        ValueError: If ``out_dir`` is a file, the name is a path, or a file of that name has another
            content; nothing is written.
    """
    check_plain_name(name)
    check_out_folder(out_dir)
    config, weights = Path(out_dir, f'{name}.py'), Path(out_dir, f'{name}.pth')
    which = f'Member {export.member}' if export.member else 'Model'
    needs = f' with {PACKAGE}' if kept_types(export.config.model) else ''
    header = (
        f'# {which} of a run of mmseg_ctt {__version__}, for stock MMSegmentation{needs}: test,\n'
        f'# inference, fine-tuning with load_from. Weights: {weights.name}.\n'
    )
    files = {
        config: (header + export.config.pretty_text).encode(),
        weights: checkpoint_bytes(export.checkpoint),
    }
    for path, content in files.items():
        if path.exists() and path.read_bytes() != content:
            raise ValueError(
                f'{path} is there, of another export: take another name (--name, in Python name) '
                'or folder, or remove it'
            )
    for path, content in files.items():
        write_whole(path, content)
    return config, weights


def stock_model(segmentor: Mapping, state: State) -> Tuple[dict, State]:
    """Config and weights of an equivalent segmentor of stock mmseg.

    Raises:
        ValueError: If a part has no counterpart in stock mmseg.
    """
    model = without_pretrained(stock_losses(segmentor))
    preprocessor = model['data_preprocessor']
    if preprocessor.get('size') is None and preprocessor.get('size_divisor') is None:
        preprocessor['size_divisor'] = 1  # mmseg's benchmark.py and training need one of them
    if isinstance(model.get('decode_head'), Mapping):
        model['decode_head'], state = stock_head(model['decode_head'], state)
    if isinstance(model.get('backbone'), Mapping):
        model['backbone'], state = plain_backbone(model['backbone'], state)
        model['backbone'] = stock_backbone(model['backbone'])
    refuse_own(model, 'model')
    return model, state


def _dataset_meta(meta: Mapping, config: Config) -> dict:
    """Classes and palette from the checkpoint, else from the data sets of the config."""
    if meta.get('dataset_meta'):
        return meta['dataset_meta']
    datasets = [
        leaf
        for key in ('test_dataloader', 'val_dataloader')
        if key in config
        for leaf in leaf_configs(config[key]['dataset']).values()
    ]
    found = [
        dataset.get('metainfo') or getattr(DATASETS.get(dataset['type']), 'METAINFO', {})
        for dataset in datasets
    ]
    return dict(found[0]) if found else {}
