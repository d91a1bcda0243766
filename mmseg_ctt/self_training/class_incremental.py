# Copyright (c) mmseg_ctt contributors.
"""Class-incremental learning from tags: the steps of WILSON (arXiv 2112.01882).

1. Step 0: the network of the first classes is trained with masks, in which all later classes are
   background.
2. Step 1: a network of more classes begins as that of step 0 and is trained with images that have
   tags of the new classes alone, by the method of the config.
3. Further steps likewise, each from the one before. No image is kept for a later step.

Layout of the folder of a run::

    state.json             settings of the run, and the step to do next
    lists/step0.txt        images of each step
    first_checkpoint.txt   checksum of a network of step 0 that is given
    step0/config.py, *.pth training of a step
    starts/step1.pth       with fine-tuning: weights that a step starts from
    step0/scores.json      scores of its network on the test images
    results.csv            old, new and all classes, for every step
"""

from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
from mmengine.config import Config

from ..deploy.checkpoint import weights_checksum
from ..engine.files import write_whole
from ..engine.run_length import check_other_length
from .image_lists import keep_list
from .incremental_checks import check_config, check_steps, warnings_of
from .incremental_configs import changed, set_classes, set_groups, use_masks, use_tags
from .incremental_data import StepImages, read_images, table_of
from .incremental_results import as_csv, as_text, read_rows, scores_of, write_scores
from .incremental_settings import IncrementalSettings
from .incremental_start import write_start
from .recipes import RECIPES
from .round_settings import KEY
from .rounds import Job, Rounds, Step

CHANGED = 'the tags have changed since the run began; choose another --work-dir'
OTHER_FIRST = (
    'its weights have changed since the run began, whose later steps begin with the earlier ones: '
    'restore the file, or choose another --work-dir'
)
GIVEN = 'first_checkpoint.txt'
JOINT, LISTS, STARTS, RESULTS = 'joint', 'lists', 'starts', 'results.csv'


@RECIPES.register_module('ClassIncremental')
class ClassIncremental(Rounds):
    """Steps of class-incremental learning, by WILSON, fine-tuning, or all classes at once.

    See :class:`~mmseg_ctt.self_training.rounds.Rounds` for the arguments.
    """

    settings_class = IncrementalSettings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.images: StepImages

    # ---- what the base needs

    @classmethod
    def final_folder(cls, settings: IncrementalSettings) -> str:
        """Folder of the last step."""
        return JOINT if settings.method == 'joint' else f'step{len(settings.steps) - 1}'

    def first_folder(self) -> str:
        """Folder of the first training, or of the given first network."""
        return self.names[0]

    @property
    def names(self) -> List[str]:
        """Trainings in order."""
        if self.settings.method == 'joint':
            return [JOINT]
        return [f'step{i}' for i in range(len(self.settings.steps))]

    def steps(self) -> Sequence[Step]:
        """Training and scores of every step; a given first network is scored alone."""
        found = []
        for number in range(len(self.names)):
            if number or not self.settings.first_checkpoint:
                found.append(self._step(number, 'train'))
            found.append(self._step(number, 'evaluate'))
        return found

    def _step(self, number: int, task: str) -> Step:
        def run(job: Job) -> None:
            self._keep_first(begins=(number, task) == (0, 'evaluate'))
            getattr(self, f'_{task}')(number, job)

        return Step(dict(step=self.names[number], task=task), run)

    def _keep_first(self, begins: bool) -> None:
        """Write which network is given, or check that it is that of a run that goes on."""
        given: Optional[str] = self.settings.first_checkpoint
        if given is None or not Path(given).is_file():  # where one is needed, its reader says so
            return
        path = self.folder / GIVEN
        if begins:
            path.unlink(missing_ok=True)  # of a start that failed
        keep_list(path, [weights_checksum(given)], OTHER_FIRST, f'another {KEY}.first_checkpoint')

    def read_data(self) -> None:
        """Read the tags, and choose the images of each step."""
        check_config(self.cfg, self.settings)
        self.images = read_images(self.cfg, self.settings)

    def check(self, folder: Path) -> None:
        """Check config, data and networks of all steps before the first training."""
        first: Optional[Dict[str, Any]] = self.settings.first_training
        check_other_length(self.cfg, first or {}, f'{KEY}.first_training')
        for line in warnings_of(self.settings):
            self.report(line)
        self.report(table_of(self.images, self.settings.steps))
        self.report('checks all steps with untrained networks')
        for number, name in enumerate(self.names):
            keep_list(folder / f'{name}.txt', self._stems(number), CHANGED)

        def config(number: int, before: Any) -> Config:
            name = self.names[number]
            cfg = self._config(number, before, folder / f'{name}.txt')
            if self._fine_tunes(number):
                write_start(cfg, before, self._classes(number - 1), folder / STARTS / f'{name}.pth')
            return cfg

        check_steps(config, self.settings, [*map(self._classes, range(len(self.names)))], folder)

    # ---- classes and images of a training

    def _classes(self, number: int) -> Tuple[str, ...]:
        """Classes of the network of a training, with the background."""
        steps = self.settings.steps
        known = steps if self.settings.method == 'joint' else steps[: number + 1]
        return (self.images.background, *_joined(known))

    def _stems(self, number: int) -> List[str]:
        """Names of the images of a training."""
        if self.settings.method == 'joint':
            chosen = np.unique(np.concatenate(self.images.steps))
        else:
            chosen = self.images.steps[number]
        return [self.images.stems[i] for i in chosen]

    def _groups(self, number: int) -> Dict[str, Tuple[str, ...]]:
        """Groups of classes that have a mean: old ones, new ones, and those of each step."""
        steps = self.settings.steps
        if self.settings.method == 'joint':
            number, new = len(steps) - 1, steps[1:]
        else:
            new = steps[number : number + 1]
        known = steps[: number + 1]
        old = known[: len(known) - len(new)]
        joined = dict(old=_joined(old), new=_joined(new))
        groups = {name: classes for name, classes in joined.items() if classes}
        return {**groups, **{f'step{i}': step for i, step in enumerate(known)}}

    def _fine_tunes(self, number: int) -> bool:
        return self.settings.method == 'finetune' and number > 0

    # ---- configs

    def _config(self, number: int, before: Any, images: Path) -> Config:
        """Config of a training.

        Args:
            number (int): Of the training.
            before (Path | str | bool): Checkpoint of the network before; False without one.
            images (Path): List of its images.
        """
        cfg = self.training_config(self.folder / self.names[number])
        if not number:
            changed(cfg, self.settings.first_training)
        classes = self._classes(number)
        set_classes(cfg, classes)
        set_groups(cfg, self._groups(number))
        if number and self.settings.method == 'wilson':
            use_tags(cfg, classes, self._classes(number - 1), images, before)
            return cfg
        hidden = self._classes(number - 1)[1:] if self._fine_tunes(number) else ()
        use_masks(cfg, self.settings.labeled, classes, hidden, images)
        if self._fine_tunes(number):
            cfg.load_from = str(self._start(number))
        return cfg

    def _start(self, number: int) -> Path:
        return self.folder / STARTS / f'{self.names[number]}.pth'

    def config(self, number: int) -> Config:
        """Config of a training; the network before it is trained.

        Args:
            number (int): Of the training.
        """
        before = self._checkpoint(number - 1) if number else False
        return self._config(number, before, self.folder / LISTS / f'{self.names[number]}.txt')

    def _checkpoint(self, number: int) -> Path:
        """Final checkpoint of a training, or the given first one."""
        given: Optional[str] = self.settings.first_checkpoint
        if number == 0 and given:
            return Path(given)
        return self.checkpoint_in(self.folder / self.names[number])

    # ---- steps

    def _train(self, number: int, job: Job) -> None:
        name, cfg = self.names[number], self.config(number)
        stems, images = self._stems(number), self.folder / LISTS / f'{name}.txt'
        if number == 0 and not any((self.folder / name).glob('*.pth')):
            images.unlink(missing_ok=True)  # of a start that failed
        keep_list(images, stems, CHANGED)
        start = self._start(number)
        if self._fine_tunes(number) and not start.is_file():
            write_start(cfg, self._checkpoint(number - 1), self._classes(number - 1), start)
        self.train(cfg, f'{name}, {len(stems)} images', job)

    def _evaluate(self, number: int, job: Job) -> None:
        name = self.names[number]
        self.report(f'{name}: scores the test images')
        scores = scores_of(self.config(number), self._checkpoint(number), job.check_stop)
        write_scores(self.folder / name, scores)
        rows = read_rows([self.folder / name for name in self.names], self.settings.method)
        write_whole(self.folder / RESULTS, as_csv(rows))
        self.report(as_text(rows))

    def closing_lines(self) -> List[str]:
        """Where the results are, and the command that tests the last network."""
        return [f'scores in {self.folder / RESULTS}', *super().closing_lines()]


def _joined(steps: Sequence[Sequence[str]]) -> Tuple[str, ...]:
    return tuple(name for step in steps for name in step)
