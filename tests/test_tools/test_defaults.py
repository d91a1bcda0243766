# Copyright (c) mmseg_ctt contributors.
"""Options of tools whose default the package has: the parser has none, and the help says it.

``given`` of ``tools/_common.py`` passes on what was given. Whoever adds such an option adds it to
:data:`OPTIONS`.
"""

import argparse
import inspect
import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

import pytest

from mmseg_ctt.datasets import image_files, label_check, split_import, split_masks, tag_export
from mmseg_ctt.datasets.colour_conversion import convert
from mmseg_ctt.datasets.split_files import write_split
from mmseg_ctt.datasets.split_patients import draw_patients, presence_by_patient, read_patients
from mmseg_ctt.datasets.splits import SEED, write_drawn
from mmseg_ctt.datasets.training_copy.options import options_of
from mmseg_ctt.datasets.training_copy.plan import plan_of_folder
from mmseg_ctt.deploy.class_maps import ClassMapSettings, config_images
from mmseg_ctt.deploy.export import check_out, write_backbone
from mmseg_ctt.deploy.export.onnx_check import export_checked
from mmseg_ctt.deploy.predicting import Options
from mmseg_ctt.deploy.volumes import PredictionFolder, PredictionOptions
from mmseg_ctt.evaluation.volumes import FolderScores
from mmseg_ctt.evaluation.volumes.folders import LABEL_ARRAY
from mmseg_ctt.lab.benchmark import authors, evaluation, loader, several, step
from mmseg_ctt.lab.benchmark.repeats import REPEATS
from mmseg_ctt.lab.benchmark.suite import plan as suite
from mmseg_ctt.lab.label_review.label_errors import FLOOR, Contradiction
from mmseg_ctt.lab.label_review.spoil import spoil_masks
from mmseg_ctt.lab.new_run import new_run
from mmseg_ctt.lab.new_run.networks import USUAL
from mmseg_ctt.lab.report.build import write_report
from mmseg_ctt.lab.report.networks import NetworkOptions
from mmseg_ctt.lab.street_scenes import generate as streets
from mmseg_ctt.label_fusion import PlaneFusion
from mmseg_ctt.label_fusion.consensus import ConsensusSettings
from mmseg_ctt.label_fusion.fuse_folders import FusionJob
from mmseg_ctt.label_fusion.fusion import FusionSettings
from mmseg_ctt.methods.semivl.text_encoder import write_embeddings
from mmseg_ctt.rasters.cutting import cut_raster
from mmseg_ctt.self_training.distillation_settings import DistillationSettings
from mmseg_ctt.weak_labels import fusion as rules
from mmseg_ctt.weak_labels.pseudo_labels import PseudoLabelJob

REPORT, BENCHMARK = 'analysis_tools/report', 'analysis_tools/benchmark'
SPLIT, PATIENTS = 'dataset_converters/make_split', 'dataset_converters/patient_lists make'
DOCS = Path(__file__).parents[2] / 'docs'
IDS = 'ignore_index reduce_zero_label'


def options(
    tool: str, owner: Any, names: str, said: Optional[Dict[str, Any]] = None, **renamed: str
) -> Iterator[Any]:
    """A case for each option.

    Args:
        tool (str): Its place in ``tools/``, and its sub-command.
        owner (Any): Class or function that has the defaults.
        names (str): Fields or arguments of ``owner`` that have options of the same name.
        said (dict, optional): What None means, where the help says a value.
        **renamed (str): Options by the field that they set, where the names differ.
    """
    fields = {name: f'--{name.replace("_", "-")}' for name in names.split()}
    for field, option in {**fields, **renamed}.items():
        value = (said or {}).get(field)
        yield pytest.param(tool, owner, option, field, value, id=f'{tool} {option}')


OPTIONS: List[Any] = [
    *options('distill', DistillationSettings, 'member confidence_threshold baseline timed_images'),
    *options('predict', Options, ' '.join(Options._fields)),
    # analysis_tools
    *options(
        'analysis_tools/find_label_errors', Contradiction, 'threshold border min_area min_iou'
    ),
    *options('analysis_tools/find_label_errors', Contradiction, 'floor', said=dict(floor=FLOOR)),
    *options(REPORT, NetworkOptions, 'max_images worst', model='--no-model', tsne='--no-tsne'),
    *options(REPORT, NetworkOptions, '', suggested='--suggest', suspicious='--label-errors'),
    *options(REPORT, write_report, 'checkpoint baseline'),
    *options('analysis_tools/label_statistics', image_files.find_masks, 'suffix'),
    *options('analysis_tools/label_statistics', label_check.read_checked, IDS),
    *options('analysis_tools/label_statistics', label_check.class_pixels, 'ignore_index'),
    *options(f'{BENCHMARK}_all', suite.Options, 'methods tables'),
    *options(f'{BENCHMARK}_authors', authors.benchmark_authors, 'repeats'),
    *options(f'{BENCHMARK}_evaluation', evaluation.benchmark_evaluation, 'images repeats stock'),
    *options(f'{BENCHMARK}_loader', loader.benchmark_loader, 'images repeats workers'),
    *options(f'{BENCHMARK}_loader', loader.benchmark_loader, '', copy='--training-copy'),
    *options(f'{BENCHMARK}_methods', several.Limits, 'per_process'),
    *options(f'{BENCHMARK}_methods', step.benchmark_step, 'repeats'),
    *options(f'{BENCHMARK}_parts', lambda repeats=REPEATS: None, 'repeats'),
    *options(f'{BENCHMARK}_step', step.benchmark_step, 'repeats warmup', compiled='--compile'),
    # consensus
    *options('consensus/fuse_annotations', FusionSettings, 'method tie'),
    *options('consensus/fuse_annotations', ConsensusSettings, ' '.join(ConsensusSettings._fields)),
    *options('consensus/fuse_annotations', FusionJob, 'completed'),
    *options('consensus/hidden_blocks', ConsensusSettings, 'seed local_consistency gabor_entropy'),
    # dataset_converters
    *options('dataset_converters/camvid', write_drawn, 'overwrite'),
    *options('dataset_converters/colour_masks', convert, 'palette meta suffix overwrite'),
    *options('dataset_converters/cut_rasters', cut_raster, 'min_data keep_masks'),
    *options(f'{SPLIT} make', image_files.find_masks, 'suffix'),
    *options(f'{SPLIT} make', label_check.scan_presence, IDS),
    *options(f'{SPLIT} make', lambda seed=SEED: None, 'seed'),
    *options(f'{SPLIT} make', write_drawn, 'overwrite'),
    *options(f'{SPLIT} sequence', write_drawn, 'overwrite'),
    *options(f'{SPLIT} masks', split_masks.read_folder, 'suffix'),
    *options(f'{SPLIT} masks', split_masks.binary_note, 'suffix'),
    *options(f'{SPLIT} masks', split_masks.presence_of, IDS),
    *options(f'{SPLIT} masks', split_masks.draw_validation, 'seed'),
    *options(f'{SPLIT} masks', write_split, 'overwrite'),
    *options(f'{SPLIT} images', split_masks.draw_validation, 'seed'),
    *options(f'{SPLIT} images', write_split, 'overwrite'),
    *options(f'{SPLIT} import', split_import.import_lists, '', fmt='--format'),
    *options(f'{SPLIT} import', write_split, 'overwrite'),
    *options('dataset_converters/make_streets', streets.Settings, 'seed train val height width'),
    *options('dataset_converters/make_streets', streets.generate, 'workers'),
    *options('dataset_converters/make_streets', streets.prepare, 'force'),
    *options('dataset_converters/make_training_copy', options_of, 'format quality'),
    *options('dataset_converters/make_training_copy', plan_of_folder, 'mask_suffix color_type'),
    *options(PATIENTS, draw_patients, 'num_val num_test seed'),
    *options(PATIENTS, presence_by_patient, 'ignore_index label_key'),
    *options(PATIENTS, read_patients, 'suffix label_suffix'),
    *options(PATIENTS, write_split, 'overwrite'),
    *options('dataset_converters/spoil_masks', spoil_masks, 'fraction kinds seed ignore_index'),
    *options('dataset_converters/spoil_masks', image_files.find_masks, 'suffix'),
    # misc
    *options('misc/new_run', new_run, 'method size dry_run images masks suffix classes palette'),
    *options('misc/new_run', new_run, 'ignore lists val name iterations'),
    *options('misc/new_run', new_run, 'model seed', said=dict(model=USUAL, seed=SEED)),
    # model_converters
    *options('model_converters/clip_text_embeddings', write_embeddings, 'force'),
    *options('model_converters/export_backbone', check_out, 'force'),
    *options('model_converters/export_backbone', write_backbone, 'force'),
    *options(
        'model_converters/export_onnx', export_checked, 'dynamic_batch images', size='--shape'
    ),
    # volumes
    *options('volumes/evaluate_volumes', FolderScores, 'spacing background ignore_index empty'),
    *options('volumes/evaluate_volumes', FolderScores, 'label_key', dict(label_key=LABEL_ARRAY)),
    *options('volumes/evaluate_volumes', FolderScores, 'label_suffix', img_suffix='--suffix'),
    *options('volumes/evaluate_volumes', FolderScores, '', listed='--list'),
    *options('volumes/fuse_planes', PlaneFusion, 'fusion clean agreement_mask'),
    *options('volumes/predict_volume', PredictionOptions, 'batch_size crop_size stride'),
    *options('volumes/predict_volume', PredictionOptions, 'largest_component'),
    *options('volumes/predict_volume', PredictionFolder.check, 'overwrite'),
    *options('volumes/predict_volume', PredictionFolder.start, 'overwrite'),
    # weak
    *options('weak/make_cams', ClassMapSettings, 'scales flip refine groups'),
    *options('weak/make_cams', ClassMapSettings, '', tag_threshold='--predict-tags'),
    *options('weak/make_cams', config_images, 'source'),
    *options('weak/make_tags masks', tag_export.read_mask_tags, f'meta suffix min_pixels {IDS}'),
    *options('weak/make_tags compare', tag_export.read_mask_tags, f'meta suffix min_pixels {IDS}'),
    *options('weak/make_pseudo_labels', PseudoLabelJob, 'saliency refine'),
    *options('weak/make_pseudo_labels', rules.threshold_label, 'background'),
    *options('weak/make_pseudo_labels', rules.auxsegnet_label, 'object_level salient_level'),
    *options('weak/make_pseudo_labels', rules.group_wsss_label, 'conflict_level certain_level'),
    *options('weak/make_pseudo_labels', rules.group_wsss_label, 'salient_level min_foreground'),
    *options('weak/make_pseudo_labels', rules.group_wsss_label, '', min_max='--no-min-max'),
]


def default_of(owner: Any, field: str, meant: Any) -> Any:
    """Default of the package: of the class or function, or what its None means."""
    return inspect.signature(owner).parameters[field].default if meant is None else meant


@pytest.fixture
def parser_of(load_tool, monkeypatch):
    """Parser of a tool, or of its sub-command."""

    class Made(Exception):
        """A tool has made its parser."""

    def keep(parser: argparse.ArgumentParser, *_: Any) -> None:
        raise Made(parser)

    def parser_of(tool: str) -> argparse.ArgumentParser:
        name, _, part = tool.partition(' ')
        module = load_tool(name).module
        with monkeypatch.context() as patch, pytest.raises(Made) as made:
            patch.setattr(argparse.ArgumentParser, 'parse_args', keep)
            module.parse_args()
        parser = made.value.args[0]
        if part:
            (parts,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
            parser = parts.choices[part]
        return parser

    return parser_of


def text_of(value: Any) -> str:
    """A default as a help text says it."""
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    if isinstance(value, float):
        return f'{value:.5g}'
    return ' '.join(map(text_of, value)) if isinstance(value, (tuple, list)) else str(value)


def says(text: str, value: Any) -> bool:
    """Whether a help text says a default: ``default: 8``, or ``8 (default)``."""
    if isinstance(value, (tuple, list)):  # a part of it is another default
        return bool(re.search(rf'default: {re.escape(text_of(value))}($|[,;)])', text))
    word = rf'(?<![\w.]){re.escape(text_of(value))}(?!\w|\.\w)'
    return bool(re.search(rf'default\b[^;]*{word}|{word} \(default\)', text))


def wrong(parser: argparse.ArgumentParser, option: str, field: str, default: Any) -> str:
    """What is wrong with an option whose default is elsewhere; empty where nothing is."""
    actions = [action for action in parser._actions if option in action.option_strings]
    if [action.dest for action in actions] != [field]:
        return f'{option} sets {[action.dest for action in actions]}, not {field}'
    if parser.get_default(field) is not None:
        return f'{option} has a default of its own, {parser.get_default(field)!r}'
    action = actions[0]
    if isinstance(getattr(action, 'const', None), bool) and action.nargs == 0:
        flag = not isinstance(action, argparse.BooleanOptionalAction)
        if flag:
            return '' if default is (not action.const) else f'{option} changes nothing'
    if default in (None, (), []) or says(action.help or '', default):
        return ''
    return f'{option} does not say the default {text_of(default)}: {action.help}'


@pytest.mark.parametrize('tool, owner, option, field, meant', OPTIONS)
def test_defaults_of_the_package_stand_there_alone(parser_of, tool, owner, option, field, meant):
    default = default_of(owner, field, meant)
    assert default is not inspect.Parameter.empty
    assert not wrong(parser_of(tool), option, field, default)


@pytest.mark.parametrize(
    'settings, default, message',
    [
        (dict(type=int, default=8), 8, 'has a default of its own, 8'),
        (dict(type=int, help='default: 8'), 80, 'does not say the default 80'),
        (dict(type=float, help='default: 0.5'), 0.0, 'does not say the default 0'),
        (dict(type=int, help='8 of them; default: 9'), 8, 'does not say the default 8'),
        (dict(type=int), 8, 'does not say the default 8'),
        (dict(help='default: 0.5 1 2'), (0.5, 1.0), 'does not say the default 0.5 1: '),
        (dict(action='store_true'), False, 'has a default of its own, False'),
        (dict(action='store_true', default=None), True, '--size changes nothing'),
        (dict(action=argparse.BooleanOptionalAction, help='default: yes'), False, 'not say'),
        (dict(dest='sizes'), None, r"sets \['sizes'\], not size"),
    ],
)
def test_each_fault_is_seen(settings, default, message):
    parser = argparse.ArgumentParser()
    parser.add_argument('--size', **settings)
    assert re.search(message, wrong(parser, '--size', 'size', default))


@pytest.mark.parametrize(
    'text, value',
    [
        ('pixels; default: 8', 8),
        ('jpeg (default) or raw', 'jpeg'),
        ('default: 0.06 and 0.12549 (32/255)', 32 / 255),
        ('default: class shift', ('class', 'shift')),
        ('default: .png', '.png'),
        ('default: 0, all pixels count', 0.0),
    ],
)
def test_ways_of_saying_a_default(text, value):
    assert says(text, value)


def test_given_arguments_alone_are_passed_on(load_tool):
    given = load_tool('_common').module.given
    args = argparse.Namespace(size=0, flag=False, name=None)
    assert given(args, ('size', 'flag', 'name')) == dict(size=0, flag=False)
    with pytest.raises(AttributeError, match='absent'):
        given(args, ('absent',))


def words_on_defaults() -> Iterator[Tuple[str, Any]]:
    """What pages that name a tool say about defaults of its options: rows of tables, brackets."""
    for page in sorted(DOCS.rglob('*.md')):
        text = page.read_text().replace('`', '')
        for tool, owner, option, field, meant in (case.values for case in OPTIONS):
            default = default_of(owner, field, meant)
            if default is None or '_build' in page.parts or f'{tool.split()[0]}.py' not in text:
                continue
            words = rf'^\| {option}\b.*default.*|{option}\b[^-\n]*?\(default[^)]*\)'
            yield from ((found, default) for found in re.findall(words, text, re.MULTILINE))


@pytest.mark.parametrize('words, default', list(words_on_defaults()))
def test_pages_say_the_same_defaults(words, default):
    assert says(words, default)
