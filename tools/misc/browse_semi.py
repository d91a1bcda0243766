# Copyright (c) mmseg_ctt contributors.
"""Draw what a model is fed: the first training batches, as the pipelines and the step make them.

python tools/misc/browse_semi.py CONFIG [--out DIR] [-n 8] [--checkpoint CHECKPOINT]

Writes DIR/browse.png with a row per pair of images: labelled image, its label, weak view, strong
view; of images with tags, their names and the maps that the model reads. ClassMix cuts along
pseudo-labels. With --checkpoint they are those of the model, and drawn; without one the boxes of
CutMix stand in. A picture that exists is not replaced.
"""

import argparse
import sys
from itertools import chain, count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import add_cfg_options, check_file, check_results, described, read_config, run  # noqa: E402

PICTURE = 'browse.png'


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--checkpoint', help='of a run, for its pseudo-labels')
    parser.add_argument(
        '--out',
        help='folder; default: work_dirs/<config name>/browse, and where it has a picture browse_2 '
        'or so beside it',
    )
    parser.add_argument('-n', type=int, default=8, help='rows')
    add_cfg_options(parser)
    return parser.parse_args()


def folder_of(args: argparse.Namespace) -> Path:
    """Folder without a picture: the one that was given, or the first of those of a config."""
    if args.out:
        check_results(args.out, PICTURE)
        return Path(args.out)
    first = Path('work_dirs', Path(args.config).stem, 'browse')
    others = (first.with_name(f'{first.name}_{number}') for number in count(2))
    return next(folder for folder in chain([first], others) if not (folder / PICTURE).exists())


def build_loader(cfg):
    """The training data in the order in which a run with this seed draws it."""
    from mmengine.runner import Runner

    unused = ('num_workers', 'persistent_workers', 'prefetch_factor')
    settings = {key: value for key, value in cfg.train_dataloader.items() if key not in unused}
    seed = (cfg.get('randomness') or {}).get('seed') or 0
    return Runner.build_dataloader(dict(settings, num_workers=0), seed=seed)


def build_model(cfg, checkpoint):
    """The semi-supervised model, or None where the config is a plain one."""
    from mmseg.registry import MODELS

    from mmseg_ctt.deploy.checkpoint import build_network, load_network
    from mmseg_ctt.methods.base import SemiSegmentor

    if not issubclass(MODELS.get(cfg.model.type), SemiSegmentor):
        return None
    if checkpoint is None:
        return build_network(cfg.model, cfg.get('data_preprocessor')).train()
    return load_network(cfg, checkpoint, 'cpu').train()


class Views:
    """Columns of the grid and what is in them, as RGB pictures by column."""

    def __init__(self, model, trained: bool, meta: dict) -> None:
        import torch

        from mmseg_ctt.nn.augmentation import ClassMixing, CutMixing

        self.model, self.trained = model, trained
        self.palette, self.classes = meta['palette'], meta['classes']
        self.augmentation = getattr(model, 'strong_augmentation', None)
        steps = [] if self.augmentation is None else self.augmentation.steps
        # without trained pseudo-labels there are no classes to cut along
        blind = [
            not (trained or step.takes_labeled) and isinstance(step, ClassMixing) for step in steps
        ]
        self.boxes = any(blind)
        if self.boxes:
            self.augmentation.steps = torch.nn.ModuleList(
                CutMixing(prob=step.prob, partner=step.partner) if found else step
                for step, found in zip(steps, blind)
            )

    def of(self, batch: dict) -> dict:
        columns = {**self._labeled(batch), **self._tagged(batch)}
        unlabeled = [image for image, _ in images_of(batch, 'unlabeled')]
        if unlabeled:
            columns['weak view'] = [picture(image) for image in unlabeled]
        if unlabeled and self.augmentation is not None:
            columns.update(self._strong(batch))
        return {title: pictures for title, pictures in columns.items() if pictures}

    def tags_of(self, batch: dict) -> dict:
        """Names of the tags of each picture, by column."""
        sources = {'tagged': 'tagged image', 'unlabeled': 'weak view'}
        named = {
            title: [self._names(sample) for _, sample in images_of(batch, source)]
            for source, title in sources.items()
        }
        return {title: names for title, names in named.items() if any(names)}

    def _names(self, sample) -> str:
        if 'gt_tags' not in sample:
            return ''
        tags = sample.gt_tags.label.nonzero().flatten().tolist()
        return ', '.join(self.classes[k] for k in tags) or '(none)'

    def _tagged(self, batch: dict) -> dict:
        """Images with tags, and the maps that the model reads."""
        from mmseg_ctt.visualization import colorize

        columns: dict = {'tagged image': []}
        for image, sample in images_of(batch, 'tagged'):
            columns['tagged image'].append(picture(image))
            for name in getattr(self.model, 'reads_maps', ()):
                map_ = sample.get(name).data[0].numpy()
                if map_.dtype.kind == 'f':
                    drawn = picture((map_[None] * 255).clip(0, 255).astype('uint8'))
                else:
                    drawn = colorize(map_, self.palette)
                columns.setdefault(name, []).append(drawn)
        return columns

    def _labeled(self, batch: dict) -> dict:
        from mmseg_ctt.visualization import colorize

        images, labels = [], []
        for image, sample in zip(batch['inputs'], batch['data_samples']):
            if 'gt_sem_seg' in sample:
                images.append(picture(image))
                labels.append(colorize(sample.gt_sem_seg.data.squeeze(0).numpy(), self.palette))
        return {'labelled image': images, 'label': labels}

    def _strong(self, batch: dict) -> dict:
        """The strong view that the model's own step would make of this batch."""
        import torch

        from mmseg_ctt.nn.images import Images, pictures_of
        from mmseg_ctt.nn.pseudo_label import PseudoLabel

        model, columns = self.model, {}
        data = model.data_preprocessor(batch, True)
        images = {
            name: Images(data['inputs'][name], data['data_samples'][name]) for name in model.sources
        }
        teacher = model.first_target
        with torch.no_grad():
            if self.trained:
                pseudo = model.inspect_pseudo_labels(**images)
                columns[f'pseudo-label of {teacher}'] = self._colours(pseudo[teacher].label)
            else:
                zeros = torch.zeros_like(images['unlabeled'].image[:, 0])
                pseudo = {teacher: PseudoLabel(zeros.long(), zeros.float())}
            view, target = model.first_view(pseudo, **images)
        columns['strong view'] = pictures_of(view.image, model.data_preprocessor)
        if self.trained:
            columns['its target'] = self._colours(target.label)
        return columns

    def _colours(self, label) -> list:
        from mmseg_ctt.visualization import colorize

        return [colorize(map_, self.palette) for map_ in label.numpy()]


def images_of(batch: dict, source: str) -> list:
    """Images of a source in a batch, each with its sample."""
    pairs = zip(batch['inputs'], batch['data_samples'])
    return [pair for pair in pairs if pair[1].metainfo.get('source') == source]


def picture(image):
    """An image of the pipeline, ``(C, H, W)``, blue first, as ``(H, W, 3)`` RGB."""
    import numpy as np

    from mmseg_ctt.datasets.image_values import to_picture

    return to_picture(np.asarray(image).transpose(1, 2, 0))


def collect(loader, views: Views, number: int) -> tuple:
    """Pictures of each column, ``number`` of them or fewer, and names of tags by column."""
    columns: dict = {}
    captions: dict = {}
    for batch in loader:
        made = views.of(batch)
        rows = min(len(pictures) for pictures in made.values())
        for found, new in ((columns, made), (captions, views.tags_of(batch))):
            for name, entries in new.items():
                found.setdefault(name, []).extend(entries[:rows])
        if min(map(len, columns.values())) >= number:
            break
    return {name: pictures[:number] for name, pictures in columns.items()}, captions


def report(views: Views) -> None:
    semi = views.model is not None and 'unlabeled' in views.model.sources
    if semi and views.augmentation is None:
        print(f'{type(views.model).__name__} has no strong augmentation: the weak view only')
    elif views.boxes:
        print('without --checkpoint there are no pseudo-labels: CutMix is drawn')


def main() -> None:
    args = parse_args()
    cfg = read_config(args.config, args.cfg_options)
    if args.n < 1:
        raise ValueError(f'-n must be positive, got {args.n}')
    if args.checkpoint is not None:
        check_file(args.checkpoint, 'checkpoint')
    out = folder_of(args)
    from mmengine.registry import DefaultScope

    from mmseg_ctt.visualization import save_grid

    with DefaultScope.overwrite_default_scope('mmseg'):
        loader, model = build_loader(cfg), build_model(cfg, args.checkpoint)
        meta = loader.dataset.metainfo
        views = Views(model, args.checkpoint is not None, meta)
        columns, captions = collect(loader, views, args.n)
    report(views)
    out.mkdir(parents=True, exist_ok=True)
    save_grid(
        out / PICTURE,
        list(zip(*columns.values())),
        list(columns),
        meta['classes'],
        meta['palette'],
        **(dict(captions=captions) if captions else {}),
    )
    print(out / PICTURE)


if __name__ == '__main__':
    run(main)
