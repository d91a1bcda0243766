# Copyright (c) mmseg_ctt contributors.
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Dict, Mapping, Optional, Tuple, Type, TypeVar

from ..nn.settings import as_dict, check_keys

KEY = 'self_training'
TYPE = 'type'  # names the recipe
Made = TypeVar('Made', bound='RoundSettings')


@dataclass(frozen=True)
class RoundSettings:
    """Settings of a recipe: ``self_training`` of a config without its ``type``.

    Attributes:
        renamed (dict[str, str]): Former keys that are still accepted, and the present ones.
        addable (tuple[str]): Switches that may be turned on in the folder of a run without them:
            the step ``dict(step=name)`` and those after it do what is missing.
    """

    renamed: ClassVar[Dict[str, str]] = {}
    addable: ClassVar[Tuple[str, ...]] = ()

    def unused(self) -> Dict[str, str]:
        """Settings without effect, and beside which others, such as ``'align=False'``."""
        return {}

    @classmethod
    def of(cls: Type[Made], given: Optional[Mapping[str, Any]]) -> Made:
        """Settings from the dict of a config; absent keys have their defaults.

        Args:
            given (Mapping, optional): ``self_training`` of a config.

        Raises:
            TypeError: If it is no dict, or a setting of another type.
            ValueError: For an unknown key or value, or one that would be unused.
        """
        made = cls._read(given)
        for name, others in made.unused().items():
            if getattr(made, name) != cls._usual(name):
                raise ValueError(
                    f'{KEY}.{name}={getattr(made, name)!r} would be unused with {KEY}.{others}: '
                    f'remove it, or change {others.partition("=")[0]}'
                )
        return made

    @classmethod
    def recorded(cls: Type[Made], given: Mapping[str, Any]) -> Made:
        """Settings that a run wrote; those without effect, which it may have had, are the defaults.

        Args:
            given (Mapping): Settings by name.

        Raises:
            TypeError: If a setting is of another type.
            ValueError: For an unknown key or value.
        """
        made = cls._read(given)
        return replace(made, **{name: cls._usual(name) for name in made.unused()})

    @classmethod
    def _usual(cls, name: str) -> Any:
        return next(field.default for field in fields(cls) if field.name == name)

    @classmethod
    def _read(cls: Type[Made], given: Optional[Mapping[str, Any]]) -> Made:
        given = {
            cls.renamed.get(key, key): value
            for key, value in as_dict(KEY, given).items()
            if key != TYPE
        }
        check_keys(KEY, given, [field.name for field in fields(cls)])
        return cls(**given)
