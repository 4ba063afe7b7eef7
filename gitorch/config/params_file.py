"""The parameters of a task, laid over a committed YAML or JSON file that its program reads.

All other keys stay as they are written: `no`, `1e-3` and tags mean what they meant to the program.
Comments are not kept.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import yaml

from gitorch.config.document import kind_in_words
from gitorch.config.yaml_parser import parse_document

_WIDTH = 1 << 20  # characters: no text is broken into lines


class BadParamsFile(ValueError):
    """A file that no parameters can be laid over. The text says why, after the file's name."""


def overlaid(data: bytes, file: str, params: Mapping[str, Any]) -> bytes:
    """Return the content of a file with the parameters laid over it: mappings are merged.

    Raises BadParamsFile.
    """
    if file.endswith(".json"):
        return _overlaid_json(data, params)
    document = parse_document(data, file)
    if document.root is None and document.problems:
        problem = document.problems[-1]
        raise BadParamsFile(f"line {problem.line}: {problem.message}")
    root = yaml.compose(data.decode("utf-8-sig"), Loader=yaml.SafeLoader)
    if root is None:
        root = _mapping([])
    if not isinstance(root, yaml.MappingNode):
        raise BadParamsFile(f"it is {kind_in_words(document.value)}, not a mapping")
    text = io.StringIO()
    yaml.serialize(
        _merged_node(root, params),
        text,
        Dumper=yaml.SafeDumper,
        allow_unicode=True,
        width=_WIDTH,
    )
    return text.getvalue().encode()


def _overlaid_json(data: bytes, params: Mapping[str, Any]) -> bytes:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadParamsFile(f"it is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadParamsFile(f"it is {kind_in_words(value)}, not a mapping")
    merged = _merged(value, params)
    return f"{json.dumps(merged, indent=2, ensure_ascii=False)}\n".encode()


def _merged(value: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(value) if isinstance(value, dict) else {}
    for key, param in params.items():
        if isinstance(param, dict) and isinstance(merged.get(key), dict):
            param = _merged(merged[key], param)
        merged[key] = param
    return merged


def _merged_node(
    node: yaml.MappingNode, params: Mapping[str, Any]
) -> yaml.MappingNode:
    """Return a mapping with the parameters. What an alias shares with it is not changed."""
    left = dict(params)
    pairs = []
    for key, value in node.value:
        name = key.value
        if name in left:
            param = left.pop(name)
            if isinstance(param, dict) and isinstance(value, yaml.MappingNode):
                value = _merged_node(value, param)
            else:
                value = _node_of(param)
        pairs.append((deepcopy(key), deepcopy(value)))
    for name, param in left.items():
        pairs.append((_node_of(name), _node_of(param)))
    return _mapping(pairs, node.tag, node.flow_style)


def _mapping(
    pairs: list[tuple[yaml.Node, yaml.Node]],
    tag: str = "tag:yaml.org,2002:map",
    flow_style: bool | None = None,
) -> yaml.MappingNode:
    return yaml.MappingNode(tag, pairs, flow_style=flow_style)


def _node_of(value: Any) -> yaml.Node:
    return yaml.SafeDumper(io.StringIO(), sort_keys=False).represent_data(value)
