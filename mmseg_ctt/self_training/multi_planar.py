# Copyright (c) mmseg_ctt contributors.
"""Deep multi-planar co-training (DMPCT, arXiv 1804.02586): a 2D network for each plane of volumes.

1. Round 0, teachers: each plane's network is trained on the slices of the labelled volumes.
2. Each network predicts every unlabelled volume, all slices along its plane.
3. The predictions of the planes are fused: one label volume for each unlabelled volume.
4. Next round, students: each network is trained on labelled and fused volumes alike.
5. Steps 2 to 4 for every round; the result is the fusion of the last networks.

Layout of the folder of a run::

    state.json                        settings, and the round and step to do next
    round0/x/config.py, *.pth         training of the network of plane x
    round0/predictions/x/*.nii.gz     its predictions of the unlabelled volumes
    round0/fused/*.nii.gz             their fusion: labels of round 1; agreement.json
    round0/fused/manifest_x.json      slices of them that the network of plane x is trained on
    round0/test/x/*.nii.gz            predictions of the test volumes, and test/fused; val likewise
    round0/scores.json                scores of each plane and of the fusion
    results.csv                       their means, of all rounds
"""

import shutil
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from mmengine.config import Config

from ..datasets.frequency import source
from ..engine.files import write_whole
from ..evaluation.volumes import VolumeMetric
from ..label_fusion.plane_files import plane_cases, volumes_in
from ..label_fusion.plane_folders import fuse_folders, fused_path
from ..volumes import open_volume
from ..volumes.names import case_names
from .plane_checks import check_labels, check_planes
from .plane_data import (
    EVALUATED,
    check_are_slices,
    evaluated_set,
    set_plane,
    suffixes_of,
    volume_metric,
    volumes_of,
    write_manifest,
)
from .plane_results import as_csv, as_text, read_results, write_results
from .plane_settings import PlaneSettings
from .plane_steps import predict_missing, score_predictions
from .recipes import RECIPES
from .round_checks import add_pseudo_labels
from .rounds import Job, Rounds, Step

FUSED = 'fused'  # name of the fusion among the networks
RESULTS = 'results.csv'


@RECIPES.register_module('MultiPlanar')
class MultiPlanarCoTraining(Rounds):
    """DMPCT: networks of several planes that label volumes for one another.

    See :class:`~mmseg_ctt.self_training.rounds.Rounds` for the arguments.
    """

    settings_class = PlaneSettings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.classes: Sequence[str] = ()
        self.unlabeled: Dict[str, str] = {}  # names of the cases by volume
        self.evaluated: Dict[str, Dict[str, Any]] = {}  # labels by volume, by set
        self.suffixes: Dict[str, Dict[str, str]] = {}  # ends of the names of volumes, by set
        self.metrics: Dict[str, VolumeMetric] = {}  # by set

    # ---- what the base needs

    @classmethod
    def final_folder(cls, settings: PlaneSettings) -> str:
        """Folder of the last network of the plane that decides ties."""
        return f'round{settings.rounds}/{settings.tie or settings.planes[-1]}'

    def first_folder(self) -> str:
        """Folder of the first network."""
        return f'round0/{self.settings.planes[0]}'

    def steps(self) -> Sequence[Step]:
        """Of every round trainings and scores, then labels for the next round."""
        found = []
        for number in range(self.settings.rounds + 1):
            found += [self._step(number, 'train', plane=plane) for plane in self.settings.planes]
            found += [self._step(number, 'evaluate')]
            if number < self.settings.rounds:
                found += [self._step(number, 'label'), self._step(number, 'fuse')]
        return found

    def _step(self, number: int, name: str, **more: str) -> Step:
        def run(job: Job) -> None:
            getattr(self, f'_{name}')(number, job=job, **more)

        return Step(dict(round=number, step=name, **more), run)

    def read_data(self) -> None:
        """List the volumes of all sets."""
        check_are_slices(self.cfg)
        unlabeled = source(self.cfg, 'unlabeled')
        self.classes = unlabeled.metainfo['classes']
        self.unlabeled = case_names(volumes_of(unlabeled), suffixes_of(unlabeled))
        self.evaluated = {}
        for name in EVALUATED:
            dataset = evaluated_set(self.cfg, name) or ()
            labels = volumes_of(dataset)
            if labels and labels not in self.evaluated.values():
                self.evaluated[name], self.suffixes[name] = labels, suffixes_of(dataset)
                if all(labels.values()):
                    self.metrics[name] = volume_metric(self.cfg, name, labels)
                    self.metrics[name].dataset_meta = dict(classes=self.classes)

    def check(self, folder: Path) -> None:
        """Check data, settings and steps of all rounds before the first training."""
        self.report('round 0: checks prediction, fusion and round 1 with untrained networks')
        for name, metric in self.metrics.items():
            check_labels(self.evaluated[name], len(self.classes), metric.ignore_index)
        configs = {plane: self.config(0, plane) for plane in self.settings.planes}
        check_planes(configs, self.settings, self.unlabeled, len(self.classes), folder)

    def closing_lines(self) -> List[str]:
        """Folder of the results, and commands that predict other volumes."""
        last, settings = self.round_folder(self.settings.rounds), self.settings
        sets = ', '.join(str(last / name / FUSED) for name in self.evaluated)
        lines = [f'fused predictions in {sets}, scores in {self.folder / RESULTS}'] if sets else []
        soft = settings.fusion == 'soft'
        for plane in settings.planes:
            kept = f' --probabilities OUT/probabilities_{plane}' if soft else ''
            member = f' --member {settings.member}' if settings.member else ''
            lines.append(
                f'python tools/volumes/predict_volume.py {last / plane / "config.py"} '
                f'{self.checkpoint_in(last / plane)} VOLUMES --out OUT/{plane}{member}{kept}'
            )
        return [*lines, f'python tools/volumes/fuse_planes.py {self._fusion_arguments()}']

    def _fusion_arguments(self) -> str:
        settings = self.settings
        parts = [*(f'{plane}=OUT/{plane}' for plane in settings.planes), '--out OUT/fused']
        parts.append(f'--fusion {settings.fusion}')
        if settings.fusion != 'soft':
            parts.append(f'--tie {settings.tie or settings.planes[-1]}')
        if settings.clean:
            parts.append(f'--clean {settings.clean}')
        if settings.fusion == 'soft':
            kept = (f'{plane}=OUT/probabilities_{plane}' for plane in settings.planes)
            parts.append(f'--probabilities {" ".join(kept)}')
        return ' '.join(parts)

    # ---- steps

    def round_folder(self, number: int) -> Path:
        """Folder of a round."""
        return self.folder / f'round{number}'

    def config(self, number: int, plane: str) -> Config:
        """Config of the training of a plane: with pseudo-labels from round 1 on."""
        cfg = self.training_config(self.round_folder(number) / plane)
        set_plane(cfg, plane)
        if number:
            teacher = self.round_folder(number - 1)
            add_pseudo_labels(cfg, teacher / FUSED / f'manifest_{plane}.json')
            if self.settings.init == 'teacher':
                cfg.load_from = str(self.checkpoint_in(teacher / plane))
        return cfg

    def _train(self, number: int, job: Job, plane: str) -> None:
        self.train(self.config(number, plane), f'round {number}, plane {plane}', job)

    def _predict(self, number: int, names: Mapping[str, str], folder: Path, job: Job) -> None:
        """Predictions of volumes by the network of each plane."""
        for plane in self.settings.planes:
            predict_missing(
                self.config(number, plane),
                self.checkpoint_in(self.round_folder(number) / plane),
                names,
                folder / plane,
                self._probabilities(folder, plane),
                self.settings.member,
                job.check_stop,
                self.report,
            )

    def _probabilities(self, folder: Path, plane: str) -> Optional[Path]:
        """Folder of the probabilities of a plane; None where labels are fused."""
        return folder / f'probabilities_{plane}' if self.settings.fusion == 'soft' else None

    def _fuse_planes(self, folder: Path, out: Path, is_label: bool, job: Job) -> Dict[str, dict]:
        """Fusion of the predictions in a folder."""
        kept = {plane: self._probabilities(folder, plane) for plane in self.settings.planes}
        cases = plane_cases(
            {plane: folder / plane for plane in self.settings.planes},
            {plane: path for plane, path in kept.items() if path} or None,
        )
        fusion = self.settings.plane_fusion(agreement_mask=is_label)
        return fuse_folders(cases, fusion, out, lambda case: job.check_stop())

    def _label(self, number: int, job: Job) -> None:
        self.report(f'round {number}: each plane labels {len(self.unlabeled)} volumes')
        self._predict(number, self.unlabeled, self.round_folder(number) / 'predictions', job)

    def _fuse(self, number: int, job: Job) -> None:
        folder = self.round_folder(number)
        out = folder / FUSED
        if any(self._lacks_cases(folder / 'predictions' / plane) for plane in self.settings.planes):
            self._label(number, job)  # refuses those of other names
        shutil.rmtree(out, ignore_errors=True)  # left by an interrupted fusion
        agreement = self._fuse_planes(folder / 'predictions', out, True, job)
        mean = sum(found['agreeing'] for found in agreement.values()) / len(agreement)
        for plane in self.settings.planes:
            self._write_manifest(plane, out)
        self.report(f'round {number}: fuses the planes, which agree on {mean:.2%} of the voxels')
        for k, name in enumerate(self.classes):
            if not any(found['fused'].get(str(k)) for found in agreement.values()):
                self.report(f'round {number}: no fused volume shows {name}')

    def _lacks_cases(self, folder: Path) -> bool:
        """Whether predictions of unlabelled volumes miss, or have other names than now."""
        known = volumes_in(folder) if folder.is_dir() else ()
        return not set(known).issuperset(self.unlabeled.values())

    def _write_manifest(self, plane: str, out: Path) -> None:
        cfg = self.config(0, plane)
        masks = {
            volume: str(fused_path(Path(), case, open_volume(volume)))
            for volume, case in self.unlabeled.items()
        }
        write_manifest(out / f'manifest_{plane}.json', cfg, masks)

    def _evaluate(self, number: int, job: Job) -> None:
        tables = {}
        for name, labels in self.evaluated.items():
            self.report(f'round {number}: predicts {len(labels)} volumes of {name}')
            names = case_names(labels, self.suffixes[name])
            folder = self.round_folder(number) / name
            self._predict(number, names, folder, job)
            shutil.rmtree(folder / FUSED, ignore_errors=True)
            self._fuse_planes(folder, folder / FUSED, False, job)
            if name in self.metrics:
                tables[name] = {
                    network: score_predictions(folder / network, names, labels, self.metrics[name])
                    for network in (*self.settings.planes, FUSED)
                }
        write_results(self.round_folder(number), tables)
        rows = read_results([self.round_folder(i) for i in range(number + 1)])
        if rows:
            write_whole(self.folder / RESULTS, as_csv(rows))
            self.report(as_text(rows))
