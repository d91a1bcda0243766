# Copyright (c) mmseg_ctt contributors.
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Tuple, Union

import torch
from mmengine.config import Config
from mmseg.models.segmentors import BaseSegmentor

from ...deploy.api import load_model
from ...deploy.export import export_member, read_checkpoint, write_export
from ...deploy.export.onnx_check import export_checked
from ...deploy.export.onnx_graph import check_packages
from ...engine.out_paths import check_out_folder
from ...engine.process_state import process_state_kept
from .evaluate import files_of
from .run import TrainingRun
from .train import AnyConfig, run_config


@dataclass(frozen=True)
class ExportedModel:
    """Files of a plain mmseg model.

    Attributes:
        config (Path): Config for stock mmseg.
        checkpoint (Path): Weights of one network.
        onnx (Path | None): ONNX file, where it was wanted.
        member (str | None): Member that was exported; None for a plain segmentor.
        notes (list[str]): What stock mmseg does not take over, and how ONNX agrees.
    """

    config: Path
    checkpoint: Path
    onnx: Optional[Path]
    member: Optional[str]
    notes: List[str]

    def model(self, device: Union[str, torch.device] = 'cpu') -> BaseSegmentor:
        """The exported network, for :func:`mmseg_ctt.apis.predict`.

        Args:
            device (str | torch.device): Defaults to 'cpu'.
        """
        return load_model(self.config, self.checkpoint, device=device)

    def __str__(self) -> str:
        files = [path for path in (self.config, self.checkpoint, self.onnx) if path]
        lines = [f'note: {note}' for note in self.notes]
        return '\n'.join([f'{self.member or "model"}:', *map(str, files), *lines])


def export(
    run: Union[TrainingRun, AnyConfig],
    checkpoint: Union[str, Path, None] = None,
    out_dir: Union[str, Path, None] = None,
    *,
    member: Optional[str] = None,
    name: Optional[str] = None,
    onnx: bool = False,
    size: Optional[Tuple[int, int]] = None,
) -> ExportedModel:
    """Write a network of a run as a plain mmseg config and checkpoint, and as ONNX.

    Args:
        run (TrainingRun | str | Path | Config): Run, its work folder, or a config with its
            checkpoint.
        checkpoint (str | Path, optional): File or URL. Defaults to None: the newest of the run.
        out_dir (str | Path, optional): Folder of the files. Defaults to None: ``exported`` beside
            the checkpoint.
        member (str, optional): ``student0``, ``teacher0``, ..., ``mean-student`` or
            ``mean-teacher``. Defaults to None: the member that predicts.
        name (str, optional): Name of the files. Defaults to None: ``<config>_<member>``.
        onnx (bool): Write ``<name>.onnx`` too, and compare its labels with those of PyTorch; needs
            the extra ``onnx``. Defaults to False.
        size (tuple[int, int], optional): Height and width in pixels of the images of the ONNX
            graph. Defaults to None: the crop size of the training, else 512x512.

    Returns:
        ExportedModel: Paths of the files.

    Raises:
        FileNotFoundError: If a file does not exist.
        ImportError: If a package for ONNX is missing.
        ValueError: If there is no such member, a part has no counterpart in stock mmseg, ``size``
            is given without ``onnx``, onnxruntime gives other labels, or a file of that name has
            another content.
    """
    if onnx:
        check_packages()
    elif size is not None:
        raise ValueError('size is that of the ONNX graph: give onnx=True too, or leave it out')
    config, weights = files_of(run, checkpoint)
    if out_dir is None and '://' in str(weights):
        raise ValueError('the checkpoint is no file beside which to write: give out_dir')
    folder = check_out_folder(out_dir or Path(weights).resolve().parent / 'exported')
    with process_state_kept():
        cfg = run_config(config, {})
        made = export_member(cfg, read_checkpoint(weights), member)
        stem = _stem(config)
        chosen = name or (f'{stem}_{made.member}' if made.member else stem)
        files = write_export(made, folder, chosen)
        notes, graph = list(made.notes), None
        if onnx:
            graph = folder / f'{chosen}.onnx'
            model = load_model(*files)
            if model.test_cfg.get('mode') == 'slide':
                notes.append('the ONNX graph takes the whole image, without sliding windows')
            found = export_checked(model, graph, size)
            notes.append(f'ONNX: {found.differing} of {found.pixels} labels differ from PyTorch')
    return ExportedModel(*files, graph, made.member, notes)


def _stem(config: Union[str, Path, Config]) -> str:
    name = config.filename if isinstance(config, Config) else str(config)
    return Path(name).stem if name else 'model'
