# Copyright (c) mmseg_ctt contributors.
"""Rounds of AuxSegNet (arXiv 2107.11787): training, then better pseudo-labels by its affinity.

1. A classifier is trained on the tags, for its class maps.
2. Class maps and saliency (a folder of the user's, or a stand-in) give the first pseudo-labels.
3. Round 0: AuxSegNet is trained on pseudo-labels and saliency.
4. Its cross-task affinity refines class maps and saliency of every tagged image; both together give
   the pseudo-labels of the next round.
5. Next round: training goes on from these weights. Steps 4 and 5 for every round.

Layout of the folder of a run::

    state.json                          settings, and the round and step to do next
    tags.txt                            images and their tags, which a resumed run must have, too
    classifier/config.py, *.pth         training of the classifier
    classifier/class_maps/              its class maps
    saliency/*.png                      saliency of a stand-in
    round0/labels/masks/*.png           what round 0 is trained on, and round0/labels/saliency
    round0/labels/scores.json           their scores, where masks were held back (`truth`)
    round0/config.py, *.pth             training of round 0
    round0/scores.json                  scores of its network on the validation set
    final_labels/                       pseudo-labels that the last round refined
    results.csv                         all scores
"""

from pathlib import Path
from typing import Any, List, Optional, Sequence

import numpy as np
from mmengine.config import Config
from mmengine.device import get_device

from ..datasets.frequency import source
from ..deploy.api import load_model
from ..deploy.class_maps import ClassMapSettings, TaggedImage
from ..engine.files import write_whole
from ..engine.run_length import check_other_length
from ..weak_labels.saliency import METHODS
from .auxsegnet_checks import check_files, check_steps
from .auxsegnet_configs import (
    TAGGED,
    check_model,
    set_map_folders,
    tagged_images,
    truth_set,
    use_classifier,
)
from .auxsegnet_initial import (
    FirstLabels,
    class_maps_of,
    make_stand_in,
    maps_of_tags,
    saliency_folder,
)
from .auxsegnet_labels import LabelFolder, read_saliency
from .auxsegnet_refinement import Refiner
from .auxsegnet_scores import (
    MaskSet,
    Scores,
    as_csv,
    collect_scores,
    label_scores,
    network_scores,
    write_scores,
)
from .auxsegnet_settings import AuxSegNetSettings
from .image_lists import keep_list
from .recipes import RECIPES
from .round_settings import KEY
from .rounds import Job, Rounds, Step

CLASSIFIER, FINAL, RESULTS = 'classifier', 'final_labels', 'results.csv'
FIRST = 'classify', 'start'  # step that a folder begins with
TAGS = 'tags.txt'
CHANGED = (
    'its labels are of those that the run began with: restore them, or choose another --work-dir'
)


@RECIPES.register_module('AuxSegNet')
class AuxSegNetRounds(Rounds):
    """Rounds of AuxSegNet, resumable at any point.

    See :class:`~mmseg_ctt.self_training.rounds.Rounds` for the arguments.
    """

    settings_class = AuxSegNetSettings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.images: List[TaggedImage] = []
        self.truth: Optional[MaskSet] = None
        self.evaluated: Optional[MaskSet] = None

    # ---- what the base needs

    @classmethod
    def final_folder(cls, settings: AuxSegNetSettings) -> str:
        """Folder of the last round."""
        return f'round{settings.rounds - 1}'

    def first_folder(self) -> str:
        """Folder of the classifier, or of round 0 where pseudo-labels are given."""
        return CLASSIFIER if self.settings.initial is None else 'round0'

    def steps(self) -> Sequence[Step]:
        """Classifier, then of every round labels, training and scores, and the last labels.

        Without a classifier the first step writes labels: a step before it binds the folder to its
        settings.
        """
        first = [self._step(0, FIRST[self.settings.initial is not None])]
        rounds = [
            self._step(number, name)
            for number in range(self.settings.rounds)
            for name in ('label', 'train', 'evaluate')
        ]
        return [*first, *rounds, self._step(self.settings.rounds, 'label')]

    def _step(self, number: int, name: str) -> Step:
        def run(job: Job) -> None:
            self._keep_tags(begins=name in FIRST)
            getattr(self, f'_{name}')(number, job)

        return Step(dict(round=number, step=name), run)

    def _keep_tags(self, begins: bool) -> None:
        """Write the tags beside the state, or check that they are those of a run that goes on."""
        path = self.folder / TAGS
        if begins and not any((self.folder / self.first_folder()).glob('*.pth')):
            path.unlink(missing_ok=True)  # of a start that failed
        lines = [f'{image.stem}: {sorted(image.tags or ())}' for image in self.images]
        keep_list(path, lines, CHANGED, 'other images or tags than the data set')

    def read_data(self) -> None:
        """List the tagged images, and the masks that scores are computed with."""
        check_model(self.cfg)
        self.images = tagged_images(self.cfg)
        held_back = truth_set(self.cfg, self.settings.truth)
        self.truth = held_back and MaskSet(held_back, f'{KEY}.truth')
        validation = self.cfg.get('val_dataloader')
        self.evaluated = validation and MaskSet(validation.dataset, 'val_dataloader.dataset')

    def check(self, folder: Path) -> None:
        """Check settings and steps of all rounds before the first training."""
        self.report('round 0: checks saliency, labelling and training with untrained networks')
        check_files(self.images, self.settings)
        check_other_length(self.cfg, self.settings.classifier, f'{KEY}.classifier')
        classifier = self.classifier_config() if self.settings.initial is None else None
        check_steps(
            self.config(0), classifier, self.images[0], self.settings, self.num_classes, folder
        )

    def closing_lines(self) -> List[str]:
        """Test of the network, its scores, and the pseudo-labels for another network."""
        return [
            *super().closing_lines(),
            f'scores of all rounds: {self.folder / RESULTS}',
            f'pseudo-labels for an ordinary network: {self.folder / FINAL}',
        ]

    # ---- configs and folders

    def labels(self, number: int) -> LabelFolder:
        """Labels that a round is trained on; behind the last round the final ones."""
        last = number == self.settings.rounds
        return LabelFolder(self.folder / FINAL if last else self.round_folder(number) / 'labels')

    def round_folder(self, number: int) -> Path:
        """Folder of a round."""
        return self.folder / f'round{number}'

    def classifier_config(self) -> Config:
        """Config of the classifier."""
        cfg = self.training_config(self.folder / CLASSIFIER)
        return use_classifier(cfg, self.settings.classifier)

    def config(self, number: int) -> Config:
        """Config of a round: from the weights of the one before, on its own labels."""
        cfg = self.training_config(self.round_folder(number))
        set_map_folders(cfg, self.labels(number).folders)
        if number:
            cfg.load_from = str(self.checkpoint_in(self.round_folder(number - 1)))
        return cfg

    @property
    def saliency_folder(self) -> Path:
        """Folder of the saliency of round 0."""
        return saliency_folder(self.settings.saliency, self.folder)

    @property
    def class_maps(self) -> Path:
        """Folder of the class maps of the classifier."""
        return self.folder / CLASSIFIER / 'class_maps'

    @property
    def num_classes(self) -> int:
        """Of the network."""
        return self.cfg.model.segmentor.decode_head.num_classes

    # ---- steps

    def _start(self, number: int, job: Job) -> None:
        """Nothing is done."""

    def _classify(self, number: int, job: Job) -> None:
        self.train(self.classifier_config(), 'classifier', job)

    def _train(self, number: int, job: Job) -> None:
        self.train(self.config(number), f'round {number}', job)

    def _label(self, number: int, job: Job) -> None:
        labels = self.labels(number)
        missing = labels.missing(self.images)
        self.report(f'round {number}: labels {len(missing)} images')
        if number:
            self._refine(number, labels, missing, job)
        else:
            self._first_labels(labels, missing, job)
        if self.truth is not None:
            scores = label_scores(labels, self.images, self.truth)
            self._record(labels.folder, 'pseudo-labels', number, scores)

    def _first_labels(self, labels: LabelFolder, missing: List[TaggedImage], job: Job) -> None:
        labels.write_classes(source(self.cfg, TAGGED).metainfo['classes'])
        if not missing:
            return
        if self.settings.saliency in METHODS:
            make_stand_in(self.settings.saliency, self.images, self.saliency_folder, job.check_stop)
        if self.settings.initial is None:
            self._class_maps(job)
        first = FirstLabels(self.settings, self.saliency_folder, self.class_maps, self.num_classes)
        first.write(labels, missing, job.check_stop)

    def _class_maps(self, job: Job) -> None:
        def report(line: str) -> None:
            self.report(f'class maps: {line}')
            job.check_stop()

        settings = ClassMapSettings(self.settings.scales, self.settings.flip)
        cfg = self.classifier_config()
        checkpoint = self.checkpoint_in(self.folder / CLASSIFIER)
        class_maps_of(cfg, checkpoint, self.images, self.class_maps, settings, report)

    def _refine(
        self, number: int, labels: LabelFolder, missing: List[TaggedImage], job: Job
    ) -> None:
        if not missing:
            return
        cfg, folder = self.config(number - 1), self.round_folder(number - 1)
        model = load_model(cfg, self.checkpoint_in(folder), device=get_device())
        labels.write_classes(model.dataset_meta['classes'])
        refiner = Refiner(model, self.settings)
        for image in missing:
            job.check_stop()
            saliency = read_saliency(self.saliency_folder, image)
            labels.write(image.stem, *refiner.label(image, saliency, self._maps_of(image)))

    def _maps_of(self, image: TaggedImage) -> Optional[np.ndarray]:
        """Class maps of the classifier; None where those of the network are refined."""
        if self.settings.refines == 'network':
            return None
        return maps_of_tags(self.class_maps, image).maps

    def _evaluate(self, number: int, job: Job) -> None:
        if self.evaluated is None:
            return
        folder = self.round_folder(number)
        self.report(f'round {number}: predicts {len(self.evaluated.images)} validation images')
        scores = network_scores(
            self.config(number), self.checkpoint_in(folder), self.evaluated, job.check_stop
        )
        self._record(folder, 'network', number, scores)

    def _record(self, folder: Path, scored: str, number: int, scores: Scores) -> None:
        """Write the scores of a step, and the table of all steps."""
        write_scores(folder, scored, number, scores)
        folders = []
        for i in range(self.settings.rounds + 1):
            folders += [self.labels(i).folder, self.round_folder(i)]
        write_whole(self.folder / RESULTS, as_csv(collect_scores(folders)))
        self.report(f'round {number}: mIoU of the {scored} {scores["mIoU"]}')
