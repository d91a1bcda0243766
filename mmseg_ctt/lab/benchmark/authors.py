# Copyright (c) mmseg_ctt contributors.
"""A step of UniMatch V2 as its authors wrote it, run from their file, beside ours.

Nothing of their file is here: the body of their training loop is found in it and run as it stands,
on our network, which answers as theirs does, and on our images.
"""

import ast
import copy
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Callable, Dict, Iterator, List
from unittest.mock import MagicMock, patch

import torch
from mmengine.config import Config
from mmengine.runner import IterBasedTrainLoop, Runner
from mmseg.models.utils import resize
from torch import Tensor, nn

from ...datasets.sources import LABELED, UNLABELED
from ...nn.images import Images
from ...nn.perturbation import FeaturePerturbations
from .comparison import seconds_of
from .counters import OperationCounter
from .machine import describe_machine
from .networks import network_calls, networks_of
from .preparation import optimiser_counters, prepare_config, run_in_train_loop
from .repeats import REPEATS
from .sections import BACKWARD, SectionStack
from .step import StepBenchmark

FILE = 'unimatch_v2.py'
THRESHOLD, RATE = 0.95, 5e-6  # of their configs


def authors_loop(folder: Path) -> Any:
    """Compiled body of the loop over batches in the authors' file, without its line of targets.

    Raises:
        ValueError: If the file has no such loop; it names the file.
    """
    path = folder / FILE
    tree = ast.parse(path.read_text())
    loops = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.For)
        and isinstance(node.iter, ast.Call)
        and ast.unparse(node.iter.func) == 'enumerate'
        and 'loader' in ast.unparse(node.iter)
        and 'backward' in ast.unparse(node)
    ]
    if len(loops) != 1:
        raise ValueError(f'{path}: expected one loop over batches, found {len(loops)}')
    target = ast.Assign([loops[0].target], ast.Name('batch', ast.Load()))
    module = ast.Module([ast.copy_location(target, loops[0].target), *loops[0].body], [])
    return compile(ast.fix_missing_locations(module), str(path), 'exec')


class AsTheirs(nn.Module):
    """Our segmentor, called as the authors call their network; a part of no floor.

    Args:
        network (nn.Module): Segmentor of mmseg.
        stack (SectionStack): Is told when the network runs.
        draws (list): Of the views, for the numbers of the channel dropout.
    """

    def __init__(self, network: Any, stack: SectionStack, draws: List[Any]) -> None:
        super().__init__()
        self.network, self.stack, self.draws = network, stack, draws
        self.dropout = FeaturePerturbations([dict(type='ComplementaryChannelDropout')], num_views=2)

    def forward(self, image: Tensor, comp_drop: bool = False) -> Tensor:
        """Logits at the size of the image."""
        with self.stack.network():
            features = self.network.extract_feat(image)
            if comp_drop:
                features = self.dropout.of(self.draws)(features)
            logits = self.network.decode_head(features)
            return resize(logits, image.shape[2:], mode='bilinear')


class AuthorsStep:
    """A step of the authors' loop.

    Args:
        folder (Path): Of their code.
        benchmark (StepBenchmark): Of ours: its student and its images.
        stack (SectionStack): Of the benchmark.
    """

    def __init__(self, folder: Path, benchmark: StepBenchmark, stack: SectionStack) -> None:
        self.loop, self.device = authors_loop(folder), benchmark.device
        self.batches = _batches(benchmark)
        network = copy.deepcopy(networks_of(benchmark.model)[0])
        for owner, name in network_calls(network):
            vars(owner).pop(name, None)  # the section's wrapper, which runs the original
        draws = [(0, number) for number in range(len(self.batches[1]))]
        model = AsTheirs(network, stack, draws).to(self.device).train()
        average = copy.deepcopy(model).requires_grad_(False).eval()
        average.stack = stack
        weight, pixel = nn.CrossEntropyLoss(ignore_index=255), nn.CrossEntropyLoss(reduction='none')
        backbone = [id(parameter) for parameter in network.backbone.parameters()]
        groups = [
            dict(params=[p for p in model.parameters() if (id(p) in backbone) == own])
            for own in (True, False)
        ]
        self.names: Dict[str, Any] = dict(
            torch=torch,
            model=model,
            model_ema=average,
            criterion_l=weight,
            criterion_u=pixel,
            optimizer=torch.optim.AdamW(groups, lr=RATE, weight_decay=0.01),
            cfg=dict(conf_thresh=THRESHOLD, lr=RATE, lr_multi=40.0),
            epoch=0,
            total_iters=10**6,
            trainloader_u=range(10**6),  # they log every eighth of it
            rank=1,  # only rank 0 writes
        )

    def __call__(self) -> None:
        """Run one step; its inputs are copies, since the loop changes them."""
        image, weak, label, ignored, boxes = (tensor.clone() for tensor in self.batches)
        strong = [weak.clone(), weak.clone()]
        names = dict(self.names, batch=(1, ((image, label), (weak, *strong, ignored, *boxes))))
        for meter in ('total_loss', 'total_loss_x', 'total_loss_s', 'total_mask_ratio'):
            names[meter] = MagicMock()
        with torch.enable_grad():
            exec(self.loop, names)  # the user's own copy of the authors' file


def _batches(benchmark: StepBenchmark) -> List[Tensor]:
    """Images, unlabelled images, labels, ignored pixels and CutMix boxes of a batch of ours."""
    batch = benchmark.model.data_preprocessor(next(benchmark.loop.dataloader_iterator), True)
    labelled, unlabelled = (
        Images(batch['inputs'][source], batch['data_samples'][source])
        for source in (LABELED, UNLABELED)
    )
    weak = unlabelled.image
    ignored = torch.zeros_like(weak[:, 0], dtype=torch.long)
    boxes = torch.zeros(2, *ignored.shape, device=weak.device)
    height, width = (side // 2 for side in weak.shape[2:])
    boxes[:, :, :height, :width] = 1
    return [labelled.image, weak, labelled.labels, ignored, boxes]


@contextmanager
def _for_their_loop(device: torch.device, stack: SectionStack) -> Iterator[None]:
    """Backward passes are a section; on a CPU, ``Tensor.cuda`` leaves a tensor where it is."""
    backward = Tensor.backward

    def in_section(tensor: Tensor, *args: Any, **kwargs: Any) -> None:
        with stack.inside(BACKWARD):
            backward(tensor, *args, **kwargs)

    with ExitStack() as undo:
        undo.enter_context(patch.object(Tensor, 'backward', in_section))
        if device.type == 'cpu':
            undo.enter_context(patch.object(Tensor, 'cuda', lambda tensor, *_, **__: tensor))
        yield


def benchmark_authors(cfg: Config, folder: Path, repeats: int = REPEATS) -> Dict[str, Any]:
    """Measure our step and the authors', in turns, in float32.

    Args:
        cfg (Config): Of a run of UniMatch V2.
        folder (Path): The authors' code.
        repeats (int): Timed steps of each, after two of each. Defaults to 10.

    Returns:
        dict: ``ours`` and ``authors``, each with seconds (of the processor on a CPU), operations
        outside the network and synchronisations; and ``machine``.
    """
    stack = SectionStack()

    def measure(loop: IterBasedTrainLoop) -> Dict[str, Any]:
        ours = StepBenchmark(loop, stack)
        theirs = AuthorsStep(folder, ours, stack)
        calls: Dict[str, Callable[[], Any]] = dict(ours=ours.step, authors=theirs)
        with _for_their_loop(ours.device, stack):
            times = [[_seconds(call, ours.device) for call in calls.values()] for _ in range(2)]
            times = [
                [_seconds(call, ours.device) for call in calls.values()] for _ in range(repeats)
            ]
            optimizers = (ours.wrapper.optimizer, theirs.names['optimizer'])
            on_host = [count for one in optimizers for count in optimiser_counters(one)]
            counts = {
                name: _counts(call, OperationCounter(stack, ours.device, on_host))
                for name, call in calls.items()
            }
        medians = [median(column) for column in zip(*times)]
        return {
            **{name: dict(counts[name], seconds=s) for name, s in zip(calls, medians)},
            'machine': describe_machine(ours.device),
        }

    with tempfile.TemporaryDirectory() as work_dir:
        runner = Runner.from_cfg(prepare_config(cfg, work_dir))
        return run_in_train_loop(runner, stack, measure)


def _seconds(call: Callable[[], Any], device: torch.device) -> float:
    begin = time.process_time()
    clock = seconds_of(call, device)
    return clock if device.type == 'cuda' else time.process_time() - begin


def _counts(call: Callable[[], Any], counter: OperationCounter) -> Dict[str, int]:
    with counter:
        call()
    outside = counter.total(counter.outside) - counter.autograd
    return dict(operations=outside, synchronisations=counter.total(counter.synchronisations))
