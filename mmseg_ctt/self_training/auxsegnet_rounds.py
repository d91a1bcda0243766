# Copyright (c) mmseg_ctt contributors.
"""Rounds of AuxSegNet (arXiv 2107.11787): train, refine the pseudo-labels by what was learnt, repeat.

1. A classifier is trained on the tags; its class maps and the saliency give the first pseudo-labels.
2. Saliency of every image: a folder of the user's, or a stand-in.
3. Round 0: AuxSegNet is trained on pseudo-labels and saliency.
4. Its cross-task affinity refines class maps and saliency of every tagged image; both together give
   the pseudo-labels of the next round.
5. Next round: training goes on from these weights. Steps 4 and 5 for every round.

Layout of the folder of a run::

    state.json                          settings, and the round and step to do next
    classifier/config.py, *.pth         training of the classifier
    classifier/class_maps/              its class maps
    saliency/*.png                      saliency of a stand-in
    round0/labels/pseudo_label/*.png    what round 0 is trained on, and round0/labels/saliency
    round0/labels/scores.json           their scores, where masks were held back (`truth`)
    round0/config.py, *.pth             training of round 0
    round0/scores.json                  scores of its network on the validation set
    final_labels/                       pseudo-labels that the last round refined
    results.csv                         all scores
"""

from pathlib import Path
from typing import Any, List, Optional, Sequence

from mmengine.config import Config
from mmengine.device import get_device

from ..deploy.api import load_model
from ..engine.files import write_whole
from .auxsegnet_checks import check_steps
from .auxsegnet_configs import (
    TaggedImage,
    check_model,
    set_map_folders,
    tagged_images,
    truth_set,
    use_classifier,
)
from .auxsegnet_initial import FirstLabels, saliency_folder
from .auxsegnet_labels import LabelFolder
from .auxsegnet_refinement import Refiner
from .auxsegnet_scores import (
    MaskSet,
    as_csv,
    collect_scores,
    label_scores,
    network_scores,
    write_scores,
)
from .auxsegnet_settings import AuxSegNetSettings
from .recipes import RECIPES
from .rounds import Job, Rounds, Step

CLASSIFIER, FINAL, RESULTS = 'classifier', 'final_labels', 'results.csv'


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
        """Classifier, then of every round labels, training and scores, and the last labels."""
        first = [self._step(0, 'classify')] if self.settings.initial is None else []
        rounds = [
            self._step(number, name)
            for number in range(self.settings.rounds)
            for name in ('label', 'train', 'evaluate')
        ]
        return [*first, *rounds, self._step(self.settings.rounds, 'label')]

    def _step(self, number: int, name: str) -> Step:
        def run(job: Job) -> None:
            getattr(self, f'_{name}')(number, job)

        return Step(dict(round=number, step=name), run)

    def read_data(self) -> None:
        """List the tagged images, and the masks that scores are computed with."""
        check_model(self.cfg)
        self.images = tagged_images(self.cfg)
        held_back = truth_set(self.cfg, self.settings.truth)
        self.truth = held_back and MaskSet(held_back)
        validation = self.cfg.get('val_dataloader')
        self.evaluated = validation and MaskSet(validation.dataset)

    def check(self, folder: Path) -> None:
        """Check settings and steps of all rounds before the first training."""
        self.report('round 0: checks saliency, labelling and training with untrained networks')
        classifier = self.classifier_config() if self.settings.initial is None else None
        check_steps(self.config(0), classifier, self.images, self.settings, folder)

    def closing_lines(self) -> List[str]:
        """Test of the network, its scores, and the pseudo-labels for another network."""
        labels = LabelFolder(self.folder / FINAL).folders['pseudo_label']
        return [
            *super().closing_lines(),
            f'scores of all rounds: {self.folder / RESULTS}',
            f'pseudo-labels for an ordinary network: {labels}',
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

    def saliency_folder(self) -> Path:
        """Folder of the saliency of round 0."""
        return saliency_folder(self.settings.saliency, self.folder)

    # ---- steps

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
            write_scores(labels.folder, 'pseudo-labels', number, scores)
            self._write_results()

    def _first_labels(self, labels: LabelFolder, missing: List[TaggedImage], job: Job) -> None:
        first = FirstLabels(self.settings, self.folder, self.report)
        if self.settings.initial is None:
            cfg = self.classifier_config()
            first.use_class_maps(cfg, self.checkpoint_in(Path(cfg.work_dir)), self.images, job)
        first.write(labels, missing, job)

    def _refine(self, number: int, labels: LabelFolder, missing: List[TaggedImage], job: Job) -> None:
        if not missing:
            return
        before = self.config(number - 1)
        model = load_model(before, self.checkpoint_in(Path(before.work_dir)), device=get_device())
        refiner = Refiner(model, self.settings.saliency_refinement)
        first = FirstLabels(self.settings, self.folder, self.report)
        for image in missing:
            job.check_stop()
            made = refiner.label(
                image.path, image.tags, first.saliency(image), **self.settings.levels(number)
            )
            labels.write(image.stem, *made)

    def _evaluate(self, number: int, job: Job) -> None:
        if self.evaluated is None:
            return
        folder = self.round_folder(number)
        self.report(f'round {number}: predicts {len(self.evaluated.images)} validation images')
        scores = network_scores(
            self.config(number), self.checkpoint_in(folder), self.evaluated, job.check_stop
        )
        write_scores(folder, 'network', number, scores)
        self._write_results()

    def _write_results(self) -> None:
        folders = []
        for number in range(self.settings.rounds + 1):
            folders += [self.labels(number).folder, self.round_folder(number)]
        rows = collect_scores(folders)
        write_whole(self.folder / RESULTS, as_csv(rows))
        last = rows[-1]
        self.report(f'round {last["round"]}: mIoU of the {last["scored"]} {last["mIoU"]}')
