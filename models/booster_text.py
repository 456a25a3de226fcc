"""The structural check of a LightGBM model text, before LightGBM sees it.

LightGBM trusts the indices in its text: one changed integer loads without a word and then reads outside of an array in `predict`
(CVE-2026-92786 covers releases through 4.7.0). So every line is matched against the one layout that LightGBM 4 writes for a
single-output model of constant leaves, and every tree is walked: each node and each leaf reached exactly once from the root.
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass

MAX_BYTES = 256 * 2**20
MAX_TREES = 20_000
MAX_LEAVES = 4_096
MAX_DEPTH = 64
"""TreeSHAP recurses once per level; LightGBM's own default is no limit, this house's is 5."""
MAX_FEATURES = 100_000
OBJECTIVES = ("binary sigmoid:1", "cross_entropy", "regression")
_HEADER = (
    ("version", "v4"),
    ("num_class", "1"),
    ("num_tree_per_iteration", "1"),
    ("label_index", "0"),
    ("max_feature_idx", None),
    ("objective", None),
    ("feature_names", None),
    ("feature_infos", None),
    ("tree_sizes", None),
)
_NODE_INTEGERS = ("split_feature", "decision_type", "left_child", "right_child", "internal_count")
_NODE_FLOATS = ("split_gain", "threshold", "internal_value", "internal_weight")
_START = ["num_leaves", "num_cat", "split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child"]
_START += ["leaf_value", "leaf_weight", "leaf_count", "internal_value", "internal_weight", "internal_count"]
_CATEGORIES = ["cat_boundaries", "cat_threshold"]
_END = ["is_linear", "shrinkage"]

INFINITE = "inf"
"""The threshold of a split that sends every number one way and missing values the other."""

_INTEGER = re.compile(r"-?[0-9]{1,10}")
_FLOAT = re.compile(r"-?[0-9]{1,310}(\.[0-9]{1,340})?(e[+-][0-9]{1,3})?")
_NAME = re.compile(r"[A-Za-z0-9_|=.\-]+")
_INFO = re.compile(r"none|\[[^\[\]:]+:[^\[\]:]+\]|-?[0-9]+(:-?[0-9]+)*")
_IMPORTANCE = re.compile(r"([A-Za-z0-9_|=.\-]+?)=([0-9]{1,10})")
_PARAMETER = re.compile(r"\[[a-z0-9_]+: [A-Za-z0-9_.,+\-]*\]")
_TEXT = re.compile(r"[\n -~]*")
_INT32 = 2**31 - 1
_UINT32 = 2**32 - 1


class BoosterTextError(ValueError):
    """The model text is not one that LightGBM could have written for this software; the message names the line at fault."""


@dataclass(frozen=True, slots=True)
class BoosterShape:
    """What a checked text holds."""

    objective: str
    feature_names: tuple[str, ...]
    n_trees: int
    depth: int


def check_booster_text(text: str) -> BoosterShape:
    """Return the shape of a LightGBM model text whose structure is sound; raises BoosterTextError for any other.

    Refused among others: indices out of range, nodes reached twice or never, cycles, arrays of the wrong length, values that are
    not finite, linear trees, several classes, averaged output, unknown sections, sizes beyond the limits of this file.
    """
    if len(text) > MAX_BYTES:
        raise BoosterTextError(f"the model text has {len(text)} bytes; at most {MAX_BYTES} are allowed")
    if not _TEXT.fullmatch(text):
        raise BoosterTextError("the model text holds characters other than printable ASCII and newlines")
    head, separator, body = text.partition("\n\n")
    if not separator:
        raise BoosterTextError("the model text has no trees: the empty line after its header is missing")
    header = _header(head)
    names, sizes = _names(header), _integers("header", "tree_sizes", header["tree_sizes"], 1, MAX_BYTES)
    if len(sizes) > MAX_TREES:
        raise BoosterTextError(f"the model has {len(sizes)} trees; at most {MAX_TREES} are allowed")
    place, depth = 0, 0
    for number, size in enumerate(sizes):
        depth = max(depth, _tree(number, body[place : place + size], len(names)))
        place += size
    _tail(body[place:], set(names))
    return BoosterShape(header["objective"], names, len(sizes), depth)


def _header(head: str) -> dict[str, str]:
    lines = head.split("\n")
    if lines[0] != "tree" or len(lines) != len(_HEADER) + 1:
        raise BoosterTextError(f"the header must be the line 'tree' and the {len(_HEADER)} lines {', '.join(key for key, _ in _HEADER)}; nothing else")
    header = {}
    for line, (key, value) in zip(lines[1:], _HEADER, strict=True):
        given_key, _, given = line.partition("=")
        if given_key != key or (value is not None and given != value):
            raise BoosterTextError(f"header: expected {key}={value or '…'}, given {line[:80]!r}")
        header[key] = given
    if header["objective"] not in OBJECTIVES:
        raise BoosterTextError(f"header: objective={header['objective'][:40]!r} is not allowed; allowed: {', '.join(OBJECTIVES)}")
    return header


def _names(header: dict[str, str]) -> tuple[str, ...]:
    width = _integers("header", "max_feature_idx", header["max_feature_idx"], 0, MAX_FEATURES - 1)
    names, infos = header["feature_names"].split(" "), header["feature_infos"].split(" ")
    if len(width) != 1 or not len(names) == len(infos) == width[0] + 1:
        raise BoosterTextError(f"header: max_feature_idx={header['max_feature_idx']} does not fit {len(names)} feature_names and {len(infos)} feature_infos")
    if len(set(names)) != len(names) or not all(_NAME.fullmatch(name) for name in names):
        raise BoosterTextError("header: feature_names must be unique and made of A-Z, a-z, 0-9 and _|=.-")
    if not all(_INFO.fullmatch(info) for info in infos):
        raise BoosterTextError("header: a feature_info is none, [low:high] or a list of categories")
    return tuple(names)


def _integers(where: str, key: str, value: str, low: int, high: int) -> list[int]:
    words = value.split(" ") if value else []
    if not all(_INTEGER.fullmatch(word) for word in words):
        raise BoosterTextError(f"{where}: {key} must be a list of whole numbers")
    numbers = [int(word) for word in words]
    if numbers and not low <= min(numbers) <= max(numbers) <= high:
        raise BoosterTextError(f"{where}: {key} holds a number outside of {low} … {high}")
    return numbers


def _floats(where: str, key: str, value: str, *, infinite: bool = False) -> list[float]:
    words = value.split(" ") if value else []
    finite = [word for word in words if not (infinite and word == INFINITE)]
    if not all(_FLOAT.fullmatch(word) for word in finite):
        raise BoosterTextError(f"{where}: {key} must be a list of finite numbers")
    if not all(math.isfinite(float(word)) for word in finite):
        raise BoosterTextError(f"{where}: {key} holds a number that is not finite")
    return [float(word) for word in words]


def _tree(number: int, block: str, width: int) -> int:
    """Return the depth of one tree; its block must have exactly the size that the header states for it."""
    where = f"tree {number}"
    lines = block.split("\n")
    if lines[0] != f"Tree={number}" or lines[-3:] != ["", "", ""]:
        raise BoosterTextError(f"{where}: its text does not stand where tree_sizes says")
    fields = dict(line.partition("=")[::2] for line in lines[1:-3])
    has_categories = fields.get("num_cat") not in {None, "0"}
    if list(fields) != _START + (_CATEGORIES if has_categories else []) + _END or len(fields) != len(lines) - 4:
        raise BoosterTextError(f"{where}: its lines are not those of a LightGBM 4 tree with constant leaves")
    if fields["is_linear"] != "0":
        raise BoosterTextError(f"{where}: linear trees are not allowed")
    if len(_floats(where, "shrinkage", fields["shrinkage"])) != 1:
        raise BoosterTextError(f"{where}: shrinkage must be one number")
    counts = _integers(where, "num_leaves", fields["num_leaves"], 1, MAX_LEAVES)
    if len(counts) != 1:
        raise BoosterTextError(f"{where}: num_leaves must be one number")
    return _nodes(where, fields, counts[0], width)


def _nodes(where: str, fields: dict[str, str], n_leaves: int, width: int) -> int:
    n_nodes = n_leaves - 1
    limits = {
        "split_feature": (0, width - 1),
        "decision_type": (0, 11),
        "left_child": (-n_leaves, n_nodes - 1),
        "right_child": (-n_leaves, n_nodes - 1),
        "internal_count": (1, _INT32),
    }
    nodes = {key: _integers(where, key, fields[key], *limits[key]) for key in _NODE_INTEGERS}
    values = {key: _floats(where, key, fields[key], infinite=key == "threshold") for key in _NODE_FLOATS}
    lengths = {key: len(numbers) for key, numbers in nodes.items()} | {key: len(numbers) for key, numbers in values.items()}
    for key, length in lengths.items():
        if length != n_nodes:
            raise BoosterTextError(f"{where}: {key} has {length} entries for {n_nodes} nodes")
    leaf_count = _integers(where, "leaf_count", fields["leaf_count"], 1, _INT32)
    leaf_value, leaf_weight = _floats(where, "leaf_value", fields["leaf_value"]), _floats(where, "leaf_weight", fields["leaf_weight"])
    allowed = {n_leaves} if n_nodes else {0, 1}
    if len(leaf_value) != n_leaves or not {len(leaf_count), len(leaf_weight)} <= allowed:
        raise BoosterTextError(f"{where}: leaf_value, leaf_weight and leaf_count must have one entry for each of {n_leaves} leaves")
    _categories(where, fields, nodes["decision_type"], values["threshold"])
    return _walk(where, nodes, leaf_count) if n_nodes else 0


def _categories(where: str, fields: dict[str, str], decisions: list[int], thresholds: list[float]) -> None:
    """Each categorical split reads the bits between two boundaries: they must lie inside of `cat_threshold`."""
    n_categorical = _integers(where, "num_cat", fields["num_cat"], 0, MAX_LEAVES)
    used = sorted(threshold for decision, threshold in zip(decisions, thresholds, strict=True) if decision & 1)
    if len(n_categorical) != 1 or used != [float(index) for index in range(n_categorical[0])]:
        raise BoosterTextError(f"{where}: num_cat and the categorical splits do not fit each other")
    if not n_categorical[0]:
        return
    bits = _integers(where, "cat_threshold", fields["cat_threshold"], 0, _UINT32)
    boundaries = _integers(where, "cat_boundaries", fields["cat_boundaries"], 0, len(bits))
    rising = all(left < right for left, right in itertools.pairwise(boundaries))
    if len(boundaries) != n_categorical[0] + 1 or boundaries[0] != 0 or boundaries[-1] != len(bits) or not rising:
        raise BoosterTextError(f"{where}: cat_boundaries must rise from 0 to the length of cat_threshold")


def _walk(where: str, nodes: dict[str, list[int]], leaf_count: list[int]) -> int:
    """Walk the tree from its root and return its depth; each node and leaf is met once, and counts add up."""
    seen_nodes, seen_leaves, deepest = {0}, set[int](), 0
    waiting = [(0, 1)]
    while waiting:
        node, depth = waiting.pop()
        deepest = max(deepest, depth)
        total = 0
        for child in (nodes["left_child"][node], nodes["right_child"][node]):
            seen, index = (seen_nodes, child) if child >= 0 else (seen_leaves, ~child)
            if index in seen:
                raise BoosterTextError(f"{where}: a node or leaf is reached twice")
            seen.add(index)
            total += nodes["internal_count"][index] if child >= 0 else leaf_count[index]
            if child >= 0:
                waiting.append((child, depth + 1))
        if total != nodes["internal_count"][node]:
            raise BoosterTextError(f"{where}: the counts of two children do not add up to their parent's")
    if len(seen_nodes) != len(nodes["left_child"]) or len(seen_leaves) != len(leaf_count):
        raise BoosterTextError(f"{where}: a node or leaf is never reached")
    if deepest > MAX_DEPTH:
        raise BoosterTextError(f"{where}: it is {deepest} levels deep; at most {MAX_DEPTH} are allowed")
    return deepest


def _tail(tail: str, names: set[str]) -> None:
    """After the trees: importances (names known, each once), parameters as `[key: value]`, and no pandas categories."""
    start, middle, end = "end of trees\n\nfeature_importances:\n", "\nparameters:\n", "\nend of parameters\n\npandas_categorical:null\n"
    if not tail.startswith(start) or not tail.endswith(end) or tail.count(middle) != 1:
        raise BoosterTextError("after the trees there must be feature_importances, parameters and pandas_categorical:null, and nothing else")
    importances, _, parameters = tail[len(start) : -len(end)].partition(middle)
    found = [_IMPORTANCE.fullmatch(line) for line in importances.split("\n") if line]
    if not all(match and match[1] in names for match in found) or len({match[1] for match in found if match}) != len(found):
        raise BoosterTextError("feature_importances: each line is name=number, of a known feature, once")
    if not all(_PARAMETER.fullmatch(line) for line in parameters.split("\n") if line):
        raise BoosterTextError("parameters: each line is [key: value]")
