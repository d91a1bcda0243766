# Copyright (c) mmseg_ctt contributors.
"""What a checkpoint was trained with and is predicted without: slices, method."""

from typing import Any, List, Mapping, Optional, Tuple

from ...engine.config_changes import parse_config
from .settings import SliceSettings, slice_settings


def other_than_trained(
    cfg: Mapping[str, Any], slices: SliceSettings, meta: Mapping[str, Any]
) -> Optional[str]:
    """Warning about a prediction by other settings than those of the run of its checkpoint.

    Args:
        cfg (Mapping): Of the prediction.
        slices (SliceSettings): Of the prediction.
        meta (Mapping): Of the checkpoint; ``cfg`` is the text of the run's config, which is read
            without running it.

    Returns:
        str | None: One line with both values of plane, context, window, percentiles and
        ``model.type`` where they differ. None where nothing does, or the checkpoint does not say.
    """
    recorded = parse_config(str(meta.get('cfg') or ''))
    if not recorded:
        return None
    found = [*_slices(recorded, slices), *_method(recorded, cfg)]
    if not found:
        return None
    of_run = ', '.join(f'{name}={before!r}' for name, before, _ in found)
    here = ', '.join(f'{name}={now!r}' for name, _, now in found)
    return (
        f'the run of the checkpoint has {of_run}, this prediction {here}: is that meant? The '
        'config of the run has the right values'
    )


def _slices(recorded: Mapping[str, Any], slices: SliceSettings) -> List[Tuple[str, Any, Any]]:
    try:
        trained = slice_settings(recorded)
    except (ValueError, TypeError, KeyError):  # images, or settings of another version
        return []
    triples = zip(SliceSettings._fields, trained, slices)
    return [(name, before, now) for name, before, now in triples if before != now]


def _method(recorded: Mapping[str, Any], cfg: Mapping[str, Any]) -> List[Tuple[str, Any, Any]]:
    before, now = _type(recorded), _type(cfg)
    return [('model.type', before, now)] if before and before != now else []


def _type(cfg: Mapping[str, Any]) -> str:
    model = cfg.get('model')
    kind = model.get('type', '') if isinstance(model, Mapping) else ''
    return str(getattr(kind, '__name__', kind)).split('.')[-1]
