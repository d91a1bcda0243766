# Copyright (c) mmseg_ctt contributors.
"""Processes of a distributed run, where a launcher or the machine leaves something to do."""

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmengine.config import Config


def join_without_gpu(cfg: 'Config') -> None:
    """Join the processes on machines without a GPU, for which mmengine would need one."""
    from mmengine.device import get_device

    if get_device() != 'cpu':
        return
    import torch

    if cfg.launcher == 'slurm':
        _slurm_rank()
    torch.distributed.init_process_group('gloo')
    cfg.setdefault('model_wrapper_cfg', dict(type='MMDistributedDataParallel'))
    cfg.model_wrapper_cfg.device_ids = None


def _slurm_rank() -> None:
    """Set the variables of torchrun from those of srun.

    Raises:
        ValueError: Outside a Slurm step.
    """
    if 'SLURM_PROCID' not in os.environ:
        raise ValueError('--launcher slurm needs srun: use tools/slurm_train.sh or slurm_test.sh')
    nodes = subprocess.run(
        ['scontrol', 'show', 'hostnames', os.environ['SLURM_JOB_NODELIST']],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    for name, value in dict(MASTER_ADDR=nodes[0], MASTER_PORT='29500').items():
        os.environ.setdefault(name, value)
    os.environ.update(
        RANK=os.environ['SLURM_PROCID'],
        WORLD_SIZE=os.environ['SLURM_NTASKS'],
        LOCAL_RANK=os.environ['SLURM_LOCALID'],
    )
