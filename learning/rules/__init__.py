"""The learning rules: how the weights of a network change with a batch of images. One file each;
`learning.LEARNING_RULES` names them.
"""

from typing import Any

from evolution import outside
from evolution.errors import InputError
from learning.rules.hebbian import oja, oja_update
from learning.rules.rule import Draws, LearningRule
from learning.settings import rule_path

__all__ = ["Draws", "LearningRule", "oja", "oja_update", "rule_class"]


def rule_class(name: str) -> type[LearningRule]:
    """The class of a learning rule, by its name or by "module:class". Raises InputError for one that is not there."""
    found: Any = outside.named(rule_path(name), f"learning_rule {name}")
    if not (isinstance(found, type) and issubclass(found, LearningRule)):
        raise InputError(f"learning_rule {name}: that is not a subclass of learning.rules.LearningRule")
    return found
