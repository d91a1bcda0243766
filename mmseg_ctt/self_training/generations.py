# Copyright (c) mmseg_ctt contributors.
"""CReST: generations that train from the beginning, label, select.

Layout of the folder of a run::

    state.json                 settings, and the generation and step to do next
    gen0/config.py, *.pth      complete training of a generation
    gen0/predictions/*.npz     label and confidence of every unlabelled image, with images.txt
                               and teacher.txt: what they depend on
    gen0/pseudo/manifest.json  selection of them as labels of generation 1, with masks/
"""

import shutil
from pathlib import Path
from typing import Any, List, Sequence

import torch
from mmengine.config import Config

from ..datasets.frequency import Frequency, label_frequency, source
from ..datasets.wrappers import distinct_infos
from ..methods.crest.functional import generation_temperature
from .checks import check_config, check_steps
from .dataset import MANIFEST
from .labelling import check_images, collect, label_images
from .recipes import RECIPES
from .round_checks import add_pseudo_labels
from .rounds import Job, Rounds, Step
from .selection import never_predicted, select, write_selection
from .settings import Settings

STEPS = ('train', 'label', 'select')
ALIGNMENT = 'DistributionAlignmentHook'


@RECIPES.register_module('CReST')
class SelfTraining(Rounds):
    """CReST: self-training of all generations, resumable at any point.

    See :class:`~mmseg_ctt.self_training.rounds.Rounds` for the arguments.
    """

    settings_class = Settings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.images: List[str] = []
        self.classes: List[str] = []
        self.frequency: Frequency

    def first_folder(self) -> str:
        """Folder of generation 0."""
        return 'gen0'

    @classmethod
    def final_folder(cls, settings: Settings) -> str:
        """Folder of the last generation."""
        return f'gen{settings.generations - 1}'

    def steps(self) -> Sequence[Step]:
        """Of every generation training, labelling and selection; the last one only trains."""
        last = self.settings.generations - 1
        return [
            self._step(generation, name)
            for generation in range(last + 1)
            for name in (STEPS[:1] if generation == last else STEPS)
        ]

    def _step(self, generation: int, name: str) -> Step:
        def run(job: Job) -> None:
            getattr(self, f'_{name}')(generation, job)

        return Step(dict(generation=generation, step=name), run)

    def read_data(self) -> None:
        """List the unlabelled images, and count the classes in the labels.

        Raises:
            ValueError: If the folder has predictions of other images.
        """
        unlabeled = source(self.cfg, 'unlabeled')
        self.images = [str(Path(info['img_path']).resolve()) for info in distinct_infos(unlabeled)]
        self.classes = list(unlabeled.metainfo['classes'])
        for generation in range(self.settings.generations - 1):
            check_images(self._predictions(generation), self.images)
        self.frequency = label_frequency(self.cfg, self.settings.min_area)

    def check(self, folder: Path) -> None:
        """Check settings and steps of all generations before the first is trained."""
        check_config(self.cfg, self.settings, len(self.classes))
        second = self.config(1) if self.settings.generations > 1 else None
        if second is not None:
            self.report('generation 0: checks labelling and generation 1 with an untrained model')
        check_steps(self.config(0), second, self.images[0], folder, self.settings)

    def generation_folder(self, generation: int) -> Path:
        """Folder of a generation."""
        return self.folder / f'gen{generation}'

    def _predictions(self, generation: int) -> Path:
        return self.generation_folder(generation) / 'predictions'

    def checkpoint(self, generation: int) -> Path:
        """Final checkpoint of a generation."""
        return self.checkpoint_in(self.generation_folder(generation))

    def _train(self, generation: int, job: Job) -> None:
        self.train(self.config(generation), f'generation {generation}', job)

    def _label(self, generation: int, job: Job) -> None:
        self.report(f'generation {generation}: labels {len(self.images)} images')
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
        label_images(
            self.config(generation),
            self.checkpoint(generation),
            self.images,
            self._predictions(generation),
            self.settings.member,
            device,
            job.check_stop,
        )

    def _select(self, generation: int, job: Job) -> None:
        folder = self.generation_folder(generation)
        raw, pseudo = self._predictions(generation), folder / 'pseudo'
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
        cfg = self.training_config(self.generation_folder(generation))
        if generation:
            add_pseudo_labels(cfg, self.generation_folder(generation - 1) / 'pseudo')
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
