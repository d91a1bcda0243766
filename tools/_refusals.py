# Copyright (c) mmseg_ctt contributors.
"""Refusals of arguments that a script would not read."""

import argparse
from typing import Any, Iterable, Mapping, Optional


def refuse_unused(
    args: argparse.Namespace, names: Iterable[str], reason: str = '', **spelled: str
) -> None:
    """Raise for an argument that is given and would be unused.

    Args:
        args (argparse.Namespace): All arguments; those that are not given are None.
        names (Iterable[str]): Of arguments.
        reason (str): Why they are unused.
        **spelled (str): Options of arguments with another name, such as ``tsne='no-tsne'``.
    """
    for name in names:
        if getattr(args, name) is not None:
            option = spelled.get(name, name.replace('_', '-'))
            cause = f', as {reason}' if reason else ' here'
            raise ValueError(f'--{option} would be unused{cause}: remove it')


def refuse_replaced(options: Optional[Mapping[str, Any]], arguments: Mapping[str, str]) -> None:
    """Raise for a change of the config that an argument would replace.

    Args:
        options (Mapping[str, Any], optional): Of ``--cfg-options``.
        arguments (Mapping[str, str]): The arguments by the keys that they set.
    """
    for key, argument in arguments.items():
        if key in (options or {}):
            raise ValueError(
                f'--cfg-options {key} would be unused, as {argument} sets it: remove it'
            )


def refuse_two_folders(args: argparse.Namespace) -> None:
    """Raise if both ``--work-dir`` and a change of the config name the work folder."""
    if args.work_dir:
        refuse_replaced(args.cfg_options, dict(work_dir='--work-dir'))


def refuse_set_by_rounds(options: Optional[Mapping[str, Any]]) -> None:
    """Raise for a change of the config that every training of a self-training replaces.

    Args:
        options (Mapping[str, Any], optional): Of ``--cfg-options``.
    """
    reasons = dict(
        launcher='each training is one process on one device',
        resume='each training goes on from its last checkpoint by itself',
    )
    for key, reason in reasons.items():
        if key in (options or {}):
            raise ValueError(f'--cfg-options {key} would be unused, as {reason}: remove it')
