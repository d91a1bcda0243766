# Copyright (c) mmseg_ctt contributors.
"""Generations of training, labelling, selecting and training again, each from the beginning.

Layout of the folder of a run::

    state.json                 settings, and the generation and step that come next
    gen0/config.py, *.pth      one complete training a generation
    gen0/predictions/*.npz     label and confidence of every unlabelled image
    gen0/pseudo/manifest.json  what of it generation 1 takes for labels, with masks/
"""

import copy
import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Callable, List

import torch
from mmengine.config import Config

from ..datasets.frequency import Frequency, label_frequency, source
from ..engine.files import locked, write_whole
from ..engine.fingerprint import config_hash
from ..engine.processes import Slot, Stopped, run_logged
from ..engine.resume import find_whole_checkpoint
from ..methods.crest.functional import generation_temperature
from .dataset import MANIFEST
from .labelling import collect, label_images
from .selection import never_predicted, select, write_selection
from .settings import KEY, Settings

STEPS = ('train', 'label', 'select')
ALIGNMENT = 'DistributionAlignmentHook'
PACKAGE = 'mmseg_ctt.self_training'


class SelfTraining:
    """One run of all generations, gone on with wherever it was stopped.

    Args:
        cfg (Config): Of the base method, complete; ``self_training`` holds the settings.
        folder (Path): Of the run.
        root (Path): Of the repository, for ``tools/train.py``.
        say (Callable): Takes one line of progress. Defaults to ``print``.

    Raises:
        ValueError: For bad settings, or a folder of a run with others.
    """

    def __init__(
        self, cfg: Config, folder: Path, root: Path, say: Callable[[str], None] = print
    ) -> None:
        self.settings = Settings.of(cfg.get(KEY))
        self.cfg, self.folder, self.root, self.say = cfg, folder.resolve(), root, say
        self.file = self.folder / 'state.json'
        self.images: List[str] = []

    # ---- the run

    def run(self, slot: Slot) -> Path:
        """Do all that is left.

        Args:
            slot (Slot): Threads and GPU.

        Returns:
            Path: The checkpoint of the last generation.

        Raises:
            ValueError: If another process is at it, or was started with other settings.
            ChildFailed: If a training ends with an error.
            Stopped: If the program was asked to end.
        """
        with locked(self.folder / '.lock', wait=False) as lock:
            if lock is None:
                raise ValueError(f'another process is at {self.folder}')
            state = self._state()
            unlabeled = source(self.cfg, 'unlabeled')
            self.images = [
                str(Path(unlabeled.get_data_info(i)['img_path']).resolve())
                for i in range(len(unlabeled))
            ]
            self.classes = list(unlabeled.metainfo['classes'])
            self.frequency = label_frequency(self.cfg, self.settings.min_area)
            last = self.settings.generations - 1
            for generation in range(state['generation'], last + 1):
                steps = STEPS[:1] if generation == last else STEPS
                for step in steps[steps.index(state['step']) :]:
                    self._save(generation, step)
                    getattr(self, f'_{step}')(generation, slot, lock)
                state['step'] = STEPS[0]
            return self.checkpoint(last)

    def place(self, generation: int) -> Path:
        """Folder of a generation."""
        return self.folder / f'gen{generation}'

    def checkpoint(self, generation: int) -> Path:
        """The end of a generation's training."""
        found = find_whole_checkpoint(str(self.place(generation)))
        if found is None:
            raise ValueError(
                f'{self.place(generation)} has no checkpoint: is default_hooks.'
                'checkpoint of the config switched off?'
            )
        return Path(found)

    # ---- its steps

    def _train(self, generation: int, slot: Slot, lock: int) -> None:
        place = self.place(generation)
        place.mkdir(parents=True, exist_ok=True)
        self.config(generation).dump(place / 'config.py')
        self.say(f'generation {generation}: trains; log: {place / "run.log"}')
        command = [
            sys.executable,
            str(self.root / 'tools' / 'train.py'),
            str(place / 'config.py'),
            '--work-dir',
            str(place),
            '--resume',
        ]
        run_logged(command, place / 'run.log', slot, self.root, keep_open=[lock])

    def _label(self, generation: int, slot: Slot, lock: int) -> None:
        self.say(f'generation {generation}: labels {len(self.images)} images')

        def end_if_asked() -> None:
            if slot.stop.is_set():
                raise Stopped

        device = 'cuda' if torch.cuda.is_available() else 'cpu'
        label_images(
            self.config(generation),
            self.checkpoint(generation),
            self.images,
            self.place(generation) / 'predictions',
            self.settings.member,
            device,
            end_if_asked,
        )

    def _select(self, generation: int, slot: Slot, lock: int) -> None:
        place = self.place(generation)
        raw, pseudo = place / 'predictions', place / 'pseudo'
        statistics = collect(raw, len(self.images), len(self.classes))
        selection = select(statistics, getattr(self.frequency, self.settings.count), self.settings)
        shutil.rmtree(pseudo, ignore_errors=True)  # of a run that was stopped here
        manifest = write_selection(
            pseudo, raw, self.images, selection, statistics, self.settings, self.classes
        )
        self.say(
            f'generation {generation}: selects {len(manifest["selected"])} images; '
            f'{pseudo / MANIFEST}'
        )
        for c in never_predicted(selection):
            self.say(
                f'generation {generation}: no image shows {self.classes[c]}, nothing is '
                'selected for it'
            )

    # ---- config and state

    def config(self, generation: int) -> Config:
        """The base config with what the generation before selected."""
        cfg = copy.deepcopy(self.cfg)
        cfg.pop(KEY, None)
        cfg.work_dir, cfg.resume, cfg.launcher = str(self.place(generation)), False, 'none'
        imports = list((cfg.get('custom_imports') or {}).get('imports', ['mmseg_ctt']))
        cfg.custom_imports = dict(
            imports=list(dict.fromkeys([*imports, PACKAGE])), allow_failed_imports=False
        )
        if generation:
            cfg.train_dataloader.dataset.type = 'SelfTrainingDataset'
            cfg.train_dataloader.dataset.pseudo = str(self.place(generation - 1) / 'pseudo')
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
        frequency: Frequency = self.frequency
        return dict(type=ALIGNMENT, frequency=frequency.pixel.tolist(), temperature=temperature)

    def _fingerprint(self) -> dict:
        return dict(settings=asdict(self.settings), config=config_hash(self.cfg))

    def _state(self) -> dict:
        """Where to go on."""
        if not self.file.is_file():
            return dict(generation=0, step=STEPS[0])
        state = json.loads(self.file.read_text())
        known = {key: state[key] for key in ('settings', 'config')}
        if known != self._fingerprint():
            raise ValueError(
                f'{self.folder} belongs to a run with another config or other '
                f'{KEY} settings: choose another --work-dir, or remove it'
            )
        return state

    def _save(self, generation: int, step: str) -> None:
        state = dict(self._fingerprint(), generation=generation, step=step)
        write_whole(self.file, json.dumps(state, indent=1) + '\n')
