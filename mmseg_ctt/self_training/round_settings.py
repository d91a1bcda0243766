# Copyright (c) mmseg_ctt contributors.
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Dict, Mapping, Optional, Type, TypeVar

from ..nn.settings import as_dict, check_keys

KEY = 'self_training'
TYPE = 'type'  # names the recipe
Made = TypeVar('Made', bound='RoundSettings')


@dataclass(frozen=True)
class RoundSettings:
    """Settings of a recipe: ``self_training`` of a config without its ``type``.

    Attributes:
        renamed (dict[str, str]): Former keys that are still accepted, and the present ones.
    """

    renamed: ClassVar[Dict[str, str]] = {}

    @classmethod
    def of(cls: Type[Made], given: Optional[Mapping[str, Any]]) -> Made:
        """Settings from the dict of a config; absent keys have their defaults.

        Args:
            given (Mapping, optional): ``self_training`` of a config.

        Raises:
            TypeError: If it is no dict, or a setting of another type.
            ValueError: For an unknown key or value.
        """
        given = {
            cls.renamed.get(key, key): value
            for key, value in as_dict(KEY, given).items()
            if key != TYPE
        }
        check_keys(KEY, given, [field.name for field in fields(cls)])
        return cls(**given)
