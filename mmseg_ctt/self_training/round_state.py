# Copyright (c) mmseg_ctt contributors.
"""What the folder of a run says of its config and settings, and whether another start is of it."""

import json
from dataclasses import asdict, replace
from typing import Any, Dict, List, Mapping, Optional, Set

from ..engine.fingerprint import config_hash, former_hash
from .round_settings import KEY, RoundSettings


def fingerprint(cfg: Mapping[str, Any], settings: RoundSettings) -> Dict[str, Any]:
    """What ``state.json`` says of a run.

    Args:
        cfg (Mapping): Complete config.
        settings (RoundSettings): Read from it.

    Returns:
        dict: ``settings``, and ``config``: a checksum of the rest.
    """
    return dict(settings=asdict(settings), config=config_hash(_without(cfg, KEY)))


def added_switches(
    cfg: Mapping[str, Any], settings: RoundSettings, state: Mapping[str, Any]
) -> Optional[List[str]]:
    """Switches of a start that the run in the folder does not have.

    Args:
        cfg (Mapping): Complete config of the start.
        settings (RoundSettings): Read from it.
        state (Mapping): Of the run, with what :func:`fingerprint` gives.

    Returns:
        list[str]: Some of ``settings.addable``, empty where nothing differs; None where the run is
        another one.
    """
    try:
        former = type(settings).recorded(state.get('settings') or {})
    except (TypeError, ValueError):  # of another recipe
        return None
    on = [name for name in settings.addable if getattr(settings, name)]
    added = [name for name in on if not getattr(former, name)]
    without = replace(settings, **{name: False for name in added})
    same = _as_read(asdict(former)) == _as_read(asdict(without))
    return added if same and state.get('config') in _checksums(cfg, without, added) else None


def _checksums(cfg: Mapping[str, Any], settings: RoundSettings, added: List[str]) -> Set[str]:
    """Checksums of a config; versions up to 0.10 had the settings in them, as they were written."""
    rest, given = _without(cfg, KEY), _without(cfg.get(KEY) or {}, *added)
    written = (given, {**given, **{name: False for name in added}}, {**given, **asdict(settings)})
    whole = [{**rest, KEY: one} for one in written] if cfg.get(KEY) is not None else [rest]
    found = {hash_of(one) for one in whole for hash_of in (config_hash, former_hash)}
    return {config_hash(rest), *found}


def _as_read(values: Mapping[str, Any]) -> Any:
    """Values as a JSON file gives them: lists for tuples; 0 and 0.0 are equal."""
    return json.loads(json.dumps(values))


def _without(given: Mapping[str, Any], *names: str) -> Dict[str, Any]:
    return {key: value for key, value in given.items() if key not in names}
