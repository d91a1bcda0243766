# Copyright (c) mmseg_ctt contributors.
"""Recipes of rounds by name, ``self_training.type`` of a config."""

from pathlib import Path
from typing import Any, Callable, Mapping, Type

from mmengine.config import Config
from mmengine.registry import Registry

from ..nn.settings import as_dict
from .round_settings import KEY, TYPE
from .rounds import Rounds

RECIPES = Registry('recipe of self-training')
DEFAULT = 'CReST'


def recipe_of(cfg: Mapping[str, Any]) -> Type[Rounds]:
    """Class of the recipe that a config names; CReST where it names none.

    Args:
        cfg (Mapping): Complete config.

    Raises:
        TypeError: If ``self_training`` is no dict.
        ValueError: If no recipe has this name.
    """
    name = as_dict(KEY, cfg.get(KEY)).get(TYPE, DEFAULT)
    known = RECIPES.module_dict
    if name not in known:
        raise ValueError(f'{KEY}.{TYPE} must be one of {sorted(known)}, got {name!r}')
    return known[name]


def build_rounds(
    cfg: Config, folder: Path, root: Path, report: Callable[[str], None] = print
) -> Rounds:
    """Rounds of a config; see :class:`~mmseg_ctt.self_training.rounds.Rounds`.

    Args:
        cfg (Config): Complete config; ``self_training`` holds recipe and settings.
        folder (Path): Folder of the run.
        root (Path): Root of the repository.
        report (Callable): Receives lines of progress. Defaults to ``print``.
    """
    return recipe_of(cfg)(cfg, folder, root, report)


def final_folder(cfg: Mapping[str, Any]) -> str:
    """Folder of the training that is the result of a run, relative to that of the run.

    Args:
        cfg (Mapping): Complete config.
    """
    recipe = recipe_of(cfg)
    return recipe.final_folder(recipe.settings_class.of(cfg.get(KEY)))
