# Copyright (c) mmseg_ctt contributors.
"""Generations of self-training: train from the beginning, label, select.

Layout of the folder of a run::

    state.json                 settings, and the generation and step to do next
    gen0/config.py, *.pth      complete training of a generation
    gen0/predictions/*.npz     label and confidence of every unlabelled image
    gen0/pseudo/manifest.json  selection of them as labels of generation 1, with masks/
"""

import copy
import json
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Callable, List

import torch
from mmengine.config import Config

from ..datasets.frequency import Frequency, label_frequency, source
from ..datasets.wrappers import distinct_infos
from ..engine.files import locked, write_whole
from ..engine.fingerprint import config_hash
from ..engine.processes import Resources, Stopped, run_logged
from ..engine.recorded_config import STAMP, record_config
from ..engine.resume import find_whole_checkpoint
from ..methods.crest.functional import generation_temperature
from .checks import check_config, check_steps
from .dataset import MANIFEST
from .labelling import collect, label_images
from .selection import never_predicted, select, write_selection
from .settings import KEY, Settings

STEPS = ('train', 'label', 'select')
ALIGNMENT = 'DistributionAlignmentHook'
PACKAGE = 'mmseg_ctt.self_training'


class SelfTraining:
    """Self-training of all generations, resumable at any point.

    Args:
        cfg (Config): Complete config of the base method; ``self_training`` holds the settings.
        folder (Path): Folder of the run.
        root (Path): Root of the repository, for ``tools/train.py``.
        report (Callable): Receives lines of progress. Defaults to ``print``.

    Raises:
        ValueError: For bad settings.
    """

    def __init__(
        self, cfg: Config, folder: Path, root: Path, report: Callable[[str], None] = print
    ) -> None:
        self.settings = Settings.of(cfg.get(KEY))
        self.cfg, self.folder, self.root, self.report = cfg, folder.resolve(), root, report
        self.file = self.folder / 'state.json'
        self.images: List[str] = []
        self.classes: List[str] = []
        self.frequency: Frequency

    def run(self, resources: Resources) -> Path:
        """Do all steps that are left.

        Args:
            resources (Resources): Threads and GPU.

        Returns:
            Path: Final checkpoint of the last generation.

        Raises:
            ValueError: If another process runs in the folder, or the folder is of a run with
                other settings.
            ChildFailed: If a training ends with an error.
            Stopped: If the program was told to stop.
        """
        self._read_data()  # before anything is written
        with locked(self.folder / '.lock', wait=False) as lock:
            if lock is None:
                raise ValueError(f'another process runs in {self.folder}')
            state = self._state()
            last = self.settings.generations - 1
            if (state['generation'], state['step']) == (0, STEPS[0]):
                self._check(last)
            for generation in range(state['generation'], last + 1):
                steps = STEPS[:1] if generation == last else STEPS
                for step in steps[steps.index(state['step']) :]:
                    self._save(generation, step)
                    getattr(self, f'_{step}')(generation, resources, lock)
                state['step'] = STEPS[0]
            return self.checkpoint(last)

    def _read_data(self) -> None:
        unlabeled = source(self.cfg, 'unlabeled')
        self.images = [str(Path(info['img_path']).resolve()) for info in distinct_infos(unlabeled)]
        self.classes = list(unlabeled.metainfo['classes'])
        self.frequency = label_frequency(self.cfg, self.settings.min_area)

    def _check(self, last: int) -> None:
        """Check settings and steps of all generations before the first is trained."""
        check_config(self.cfg, self.settings, len(self.classes))
        second = self.config(1) if last else None
        if second is not None:
            self.report('generation 0: checks labelling and generation 1 with an untrained model')
        folder = self.folder / '.check'
        shutil.rmtree(folder, ignore_errors=True)  # of a check that was killed
        check_steps(self.config(0), second, self.images[0], folder, self.settings)

    def generation_folder(self, generation: int) -> Path:
        """Folder of a generation."""
        return self.folder / f'gen{generation}'

    def checkpoint(self, generation: int) -> Path:
        """Final checkpoint of a generation."""
        folder = self.generation_folder(generation)
        found = find_whole_checkpoint(str(folder))
        if found is None:
            raise ValueError(
                f'{folder} has no checkpoint: is default_hooks.'
                'checkpoint of the config switched off?'
            )
        return Path(found)

    def _train(self, generation: int, resources: Resources, lock: int) -> None:
        folder = self.generation_folder(generation)
        folder.mkdir(parents=True, exist_ok=True)
        name, stamp = 'config.py', time.strftime(STAMP)
        if not any(folder.glob('*.pth')):
            (folder / name).unlink(missing_ok=True)  # of a start that failed
        config = record_config(self.config(generation), folder, name, stamp)
        self.report(f'generation {generation}: trains; log: {folder / "run.log"}')
        command = [
            sys.executable,
            str(self.root / 'tools' / 'train.py'),
            str(config),
            '--work-dir',
            str(folder),
            '--resume',
        ]
        run_logged(command, folder / 'run.log', resources, self.root, keep_open=[lock])

    def _label(self, generation: int, resources: Resources, lock: int) -> None:
        self.report(f'generation {generation}: labels {len(self.images)} images')

        def check_stop() -> None:
            if resources.stop.is_set():
                raise Stopped

        device = 'cuda' if torch.cuda.is_available() else 'cpu'
        label_images(
            self.config(generation),
            self.checkpoint(generation),
            self.images,
            self.generation_folder(generation) / 'predictions',
            self.settings.member,
            device,
            check_stop,
        )

    def _select(self, generation: int, resources: Resources, lock: int) -> None:
        folder = self.generation_folder(generation)
        raw, pseudo = folder / 'predictions', folder / 'pseudo'
        statistics = collect(raw, len(self.images), len(self.classes))
        selection = select(statistics, getattr(self.frequency, self.settings.count), self.settings)
        shutil.rmtree(pseudo, ignore_errors=True)  # left by an interrupted selection
        manifest = write_selection(
            pseudo, raw, self.images, selection, statistics, self.settings, self.classes
        )
        self.report(
            f'generation {generation}: selects {len(manifest["selected"])} images; '
            f'{pseudo / MANIFEST}'
        )
        for c in never_predicted(selection):
            self.report(
                f'generation {generation}: no image shows {self.classes[c]}, nothing is '
                'selected for it'
            )

    def config(self, generation: int) -> Config:
        """Config of a generation: the base config with the labels that the one before selected."""
        cfg = copy.deepcopy(self.cfg)
        cfg.pop(KEY, None)
        cfg.work_dir, cfg.resume, cfg.launcher = (
            str(self.generation_folder(generation)),
            False,
            'none',
        )
        imports = list((cfg.get('custom_imports') or {}).get('imports', ['mmseg_ctt']))
        cfg.custom_imports = dict(
            imports=list(dict.fromkeys([*imports, PACKAGE])), allow_failed_imports=False
        )
        if generation:
            cfg.train_dataloader.dataset.type = 'SelfTrainingDataset'
            previous = self.generation_folder(generation - 1)
            cfg.train_dataloader.dataset.pseudo = str(previous / 'pseudo')
            guards = (cfg.get('default_hooks') or {}).get('guards')
            if guards and guards['type'] == 'GuardHook':
                guards.duplicates = False  # selected images stay among the unlabelled ones
        if self.settings.align:
            hooks = cfg.get('default_hooks') or {}
            cfg.default_hooks = {**hooks, 'alignment': self._alignment(generation)}
        return cfg

    def _alignment(self, generation: int) -> dict:
        temperature = generation_temperature(
            generation, self.settings.generations, self.settings.low_temperature
        )
        frequency = self.frequency.pixel.tolist()
        return dict(type=ALIGNMENT, frequency=frequency, temperature=temperature)

    def _fingerprint(self) -> dict:
        return dict(settings=asdict(self.settings), config=config_hash(self.cfg))

    def _state(self) -> dict:
        """Generation and step to do next."""
        if not self.file.is_file():
            return dict(generation=0, step=STEPS[0])
        state = json.loads(self.file.read_text())
        first = (state['generation'], state['step']) == (0, STEPS[0])
        if first and not any(self.generation_folder(0).glob('*.pth')):
            return dict(generation=0, step=STEPS[0])  # a start that failed, with any settings
        settings = asdict(Settings.of(state['settings']))
        if dict(settings=settings, config=state['config']) != self._fingerprint():
            raise ValueError(
                f'{self.folder} belongs to a run with another config or other '
                f'{KEY} settings: choose another --work-dir, or remove it'
            )
        return state

    def _save(self, generation: int, step: str) -> None:
        state = dict(self._fingerprint(), generation=generation, step=step)
        write_whole(self.file, json.dumps(state, indent=1) + '\n')
