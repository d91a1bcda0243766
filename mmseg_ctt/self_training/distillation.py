# Copyright (c) mmseg_ctt contributors.
"""Distillation: a trained run labels all unlabelled images, and a small network learns from them.

1. The teacher, a member or the ensemble of a run, predicts every unlabelled image.
2. Its labels are the pseudo-labels; pixels below ``confidence_threshold`` are ignored.
3. The small network is trained on the labels and the pseudo-labels, and for comparison on the
   labels alone (``baseline``).
4. All are scored on the test images; teacher and small network are timed in turns.

Layout of the folder of a run::

    state.json                  settings, and the step to do next
    predictions/*.npz           label and confidence of every unlabelled image, with images.txt
                                and teacher.txt: what they depend on
    pseudo/manifest.json        pseudo-labels, with masks/
    distilled/config.py, *.pth  the small network; baseline/ on the labels alone
    results.json, results.md    scores, numbers of parameters, seconds an image
"""

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np
from mmengine.config import Config
from mmengine.device import get_device
from PIL import Image

from ..datasets.frequency import source
from ..datasets.sampler import ratio_by_source
from ..datasets.sources import source_names
from ..datasets.wrappers import distinct_infos
from ..deploy.checkpoint import read_checkpoint
from ..engine.config import prepare_config
from ..engine.files import write_whole
from ..volumes.address import real_address
from .dataset import MANIFEST
from .distillation_results import (
    Networks,
    check_metric,
    check_test_images,
    compare,
    evaluated_images,
    table_of,
)
from .distillation_settings import DistillationSettings
from .labelling import BINS, check_images, check_teacher, label_images, mask_names, read_label
from .recipes import RECIPES
from .round_checks import add_pseudo_labels, check_training, load_first, try_step
from .round_settings import KEY
from .rounds import Job, Rounds, Step
from .selection import IGNORE

DISTILLED, BASELINE = 'distilled', 'baseline'
RESULTS = 'results.json'


@RECIPES.register_module('Distillation')
class Distillation(Rounds):
    """Distillation of a run into a small network, resumable at any point.

    The config is that of the small network, whose training set is a ``LabeledUnlabeledDataset``;
    the unlabelled images are those of the teacher's config. See
    :class:`~mmseg_ctt.self_training.rounds.Rounds` for the arguments.
    """

    settings_class = DistillationSettings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.images: List[str] = []
        self.classes: List[str] = []
        self.teacher: Config

    def first_folder(self) -> str:
        """Folder of the distilled network."""
        return DISTILLED

    @classmethod
    def final_folder(cls, settings: DistillationSettings) -> str:
        """Folder of the distilled network."""
        return DISTILLED

    def steps(self) -> Sequence[Step]:
        """Labelling, trainings, comparison; the first step binds the folder to its settings."""
        return [
            Step(dict(step='start'), lambda _: None),
            Step(dict(step='label'), self._label),
            Step(dict(step='select'), self._select),
            *(self._training(name) for name in self._trainings()),
            Step(dict(step='compare'), self._compare),
        ]

    def read_data(self) -> None:
        """Read the teacher's config, and list its unlabelled images.

        Raises:
            FileNotFoundError: If config, checkpoint or a list is missing.
            ValueError: If teacher and small network have other classes, the small network would
                learn from images that it is tested on, or the folder has predictions of other
                images or another teacher.
        """
        path = Path(self.settings.teacher_config)
        if not path.is_file():
            raise FileNotFoundError(f'{KEY}.teacher_config: {path} does not exist')
        read_checkpoint(self.settings.teacher_checkpoint)
        self.teacher = prepare_config(Config.fromfile(path))
        unlabeled, labeled = source(self.teacher, 'unlabeled'), source(self.cfg, 'labeled')
        self.images = [str(Path(info['img_path']).resolve()) for info in distinct_infos(unlabeled)]
        self.classes = list(labeled.metainfo['classes'])
        of_teacher = list(unlabeled.metainfo.get('classes') or self.classes)
        if of_teacher != self.classes:
            raise ValueError(
                f'the teacher has the classes {", ".join(of_teacher)}, the small network '
                f'{", ".join(self.classes)}: both must have the same in the same order'
            )
        self._check_apart()
        folder, settings = self.folder / 'predictions', self.settings
        check_images(folder, self.images)
        check_teacher(folder, self.teacher, settings.teacher_checkpoint, settings.member)

    def _check_apart(self) -> None:
        """The lists of two configs may overlap: no test image is labelled by the teacher."""
        labelled = set(map(real_address, self.images))
        for part in ('test', 'val'):
            both = sorted(labelled & set(map(real_address, evaluated_images(self.cfg, part))))
            if both:
                raise ValueError(
                    f'{len(both)} images of {part}_dataloader of the small network are among the '
                    f'unlabelled ones of the teacher, such as {both[0]}, so that its scores would '
                    f'be too high: take them off the list of {KEY}.teacher_config'
                )

    def check(self, folder: Path) -> None:
        """Label an image by the teacher, and load it as the small network will."""
        check_training(self.cfg, len(self.classes), True, 'test images of the comparison')
        if not self.cfg.get('test_dataloader') or not self.cfg.get('test_evaluator'):
            raise ValueError('the config of the small network has no test_dataloader to compare on')
        check_metric(self.cfg)
        self.report('checks labelling and the training on pseudo-labels')
        folder.mkdir(parents=True)
        try_step('at the start', 'labelling an image', lambda: self._predict(folder, 1))
        mask = self._mask(folder, 0)
        if (mask == IGNORE).all():
            mask[:] = 0  # loading is checked, not the label
        Image.fromarray(mask).save(folder / 'mask.png')
        entry = dict(image=self.images[0], mask='mask.png')
        (folder / MANIFEST).write_text(json.dumps(dict(selected=[entry])))
        # a labelled image first: LoadAnnotations keeps the label shift of its first mask
        load = lambda: load_first(self.config(DISTILLED), folder, (0, -1))  # noqa: E731
        try_step('after labelling', 'training on pseudo-labels', load)
        for name, own in (('teacher', self.teacher), ('small network', self.cfg)):
            test = partial(check_test_images, own, self.cfg)
            try_step('at the end', f'scoring the {name}', test)

    def config(self, name: str) -> Config:
        """Config of a training.

        Args:
            name (str): ``'distilled'`` or ``'baseline'``.
        """
        cfg = self.training_config(self.folder / name)
        if name == DISTILLED:
            add_pseudo_labels(cfg, self.folder / 'pseudo')
        return cfg

    def _predict(self, folder: Path, number: int, job: Any = None) -> None:
        settings = self.settings
        label_images(
            self.teacher,
            settings.teacher_checkpoint,
            self.images[:number],
            folder,
            settings.member,
            str(get_device()),
            *([] if job is None else [job.check_stop]),
        )

    def _label(self, job: Job) -> None:
        self.report(f'the teacher labels {len(self.images)} images')
        self._predict(self.folder / 'predictions', len(self.images), job)

    def _mask(self, folder: Path, i: int) -> np.ndarray:
        label, level = read_label(folder, i)
        confident = level >= round(self.settings.confidence_threshold * (BINS - 1))
        return np.where(confident, label, IGNORE).astype(np.uint8)

    def _select(self, job: Job) -> None:
        pseudo, masks, selected = self.folder / 'pseudo', mask_names(self.images), []
        shutil.rmtree(pseudo, ignore_errors=True)  # left by an interrupted step
        (pseudo / 'masks').mkdir(parents=True)
        pixels = np.zeros(256, np.int64)
        for i, image in enumerate(self.images):
            job.check_stop()
            mask = self._mask(self.folder / 'predictions', i)
            pixels += np.bincount(mask.ravel(), minlength=256)
            if (mask != IGNORE).any():
                Image.fromarray(mask).save(pseudo / masks[i])
                selected.append(dict(image=image, mask=masks[i]))
        if not selected:
            raise ValueError(
                f'no pixel of {len(self.images)} images reaches {KEY}.confidence_threshold='
                f'{self.settings.confidence_threshold}: lower it, in another --work-dir'
            )
        manifest = dict(selected=selected, class_names=self.classes)
        write_whole(pseudo / MANIFEST, json.dumps(manifest, indent=1) + '\n')
        ratio = 1 - pixels[IGNORE] / pixels.sum()
        threshold = self.settings.confidence_threshold
        which = f'{ratio:.1%} of the pixels reach {KEY}.confidence_threshold={threshold}'
        self.report(
            f'{len(selected)} of {len(self.images)} images have pseudo-labels, '
            + (which if threshold else 'for every pixel')
        )
        absent = [name for k, name in enumerate(self.classes) if not pixels[k]]
        if absent:
            self.report(f'no pseudo-label shows {", ".join(absent)}')
        self._say_length(len(selected))

    def _say_length(self, number: int) -> None:
        """Passes of the training over its images, which are more than those of the labels alone."""
        length, loader = self.cfg.train_cfg.get('max_iters'), self.cfg.train_dataloader
        ratio = ratio_by_source(loader.sampler.get('ratio'), source_names(loader.dataset))
        if length:
            images = number + len(source(self.cfg, 'labeled'))
            seen = length * loader.batch_size * ratio['labeled'] / sum(ratio.values())
            self.report(
                f'the small network trains for {length} iterations, {seen / images:.1f} passes '
                f'over {images} images with labels or pseudo-labels; sizes.max_iters sets another '
                'length'
            )

    def _trainings(self) -> List[str]:
        return [BASELINE] * self.settings.baseline + [DISTILLED]

    def _training(self, name: str) -> Step:
        def train(job: Job) -> None:
            if name not in self._compared():  # it is finished where a baseline is added later
                self.train(self.config(name), f'small network, {name}', job)

        return Step(dict(step=name), train)

    def _compared(self) -> Dict[str, Any]:
        """Results by network, empty before the first comparison."""
        path = self.folder / RESULTS
        return json.loads(path.read_text())['networks'] if path.is_file() else {}

    def _compare(self, job: Job) -> None:
        if not set(self._trainings()) <= set(self._compared()):
            self.report('scores and times the networks')
            networks: Networks = {'teacher': (self.teacher, self.settings.teacher_checkpoint)}
            for name in self._trainings():
                checkpoint = self.checkpoint_in(self.folder / name)
                networks[name] = (self.config(name), checkpoint)
            results = compare(networks, self.cfg, self.settings, job.check_stop)
            (self.folder / 'results.md').write_text(table_of(results) + '\n')
            write_whole(self.folder / RESULTS, json.dumps(results, indent=1) + '\n')

    def closing_lines(self) -> List[str]:
        """How to test the network, and the table of results."""
        results = json.loads((self.folder / RESULTS).read_text())
        return [*super().closing_lines(), *table_of(results).splitlines()]
