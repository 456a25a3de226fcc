"""One block of people: its interactions and what `people` says, read together, and its rows of the matrix filled."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features import kernel, query
from features.engine import Engine
from features.layout import DAY, Layout
from features.published import VectorsError
from features.relations import Relations
from features.vocabulary import Vocabulary

WORKERS = 2

_REFUSALS = {
    kernel.VALUE_TOO_LARGE: f"an interaction's `value` is beyond ±{kernel.VALUE_LIMIT:.0f}, too large for an exact sum; use a larger unit",
    kernel.TOTAL_TOO_LARGE: "one person's values or decayed counts add up to more than an exact sum can hold; use a larger unit",
    kernel.COUNT_TOO_LARGE: f"one person has {kernel.COUNT_LIMIT:.0f} interactions or more of one kind: more than float32 counts exactly",
}


class Block(NamedTuple):
    """One block's input: where its rows begin and end, its interactions, which rows' persons are in the base, and what `people` says, by row."""

    first: int
    last: int
    batch: kernel.Batch
    present: NDArray[np.bool_]
    people: dict[str, NDArray]
    areas: list[str]
    area: NDArray[np.int32]


def read_blocks(engine: Engine, relations: Relations, plan: Layout, ids: pa.LargeStringArray, times: NDArray[np.int64], *, size: int) -> Iterator[Block]:
    """Yield the blocks of `size` rows of the persons `ids` (n,), rising, each as of its time (n,) in microseconds; the next is read meanwhile."""
    if len(ids):
        yield from _ahead(_read(engine, relations, plan, ids, times, size=size))


def _read(engine: Engine, relations: Relations, plan: Layout, ids: pa.LargeStringArray, times: NDArray[np.int64], *, size: int) -> Iterator[Block]:
    latest = int(times.max())
    sql = query.to_sql(query.projection(plan, relations.vocabulary, latest, relations.offsets(latest), limited=relations.limited))
    known = query.to_sql(query.attributes(relations.vocabulary))
    for first in range(0, len(ids), size):
        last = min(first + size, len(ids))
        mine = ids[first:last]
        relations.between(mine[0].as_py(), mine[-1].as_py())
        rows = pa.table({"row": pa.array(np.arange(last - first, dtype=np.int32)), "person_id": mine, "as_of_us": pa.array(times[first:last])})
        engine.register("rows", rows)
        yield block_of(engine.table(sql), engine.table(known), first, last)
    relations.between()


def block_of(projected: pa.Table, known: pa.Table, first: int, last: int) -> Block:
    """Return the block of the rows `first` to `last` from the results of `query.projection` and `query.attributes`, which number rows from 0."""
    batch = _batch(projected)
    present = np.zeros(last - first, dtype=bool)
    present[batch.row] = True
    present[known.column("row").to_numpy()] = True
    return Block(first, last, batch, present, *_people(known, last - first))


def _batch(found: pa.Table) -> kernel.Batch:
    columns = {name: found.column(name) for name in kernel.Batch._fields}
    columns["value"] = pc.fill_null(columns["value"], np.nan)
    arrays = [columns[name].to_numpy() for name in kernel.Batch._fields]
    for array in arrays:
        array.setflags(write=False)  # as those of one chunk are: others would have numba compile the kernel once more, which takes seconds
    return kernel.Batch(*arrays)


def _people(found: pa.Table, n_rows: int) -> tuple[dict[str, NDArray], list[str], NDArray[np.int32]]:
    """Return what `people` says (n_rows,) per column, NaN where not known, the areas, and each row's place among them."""
    row = found.column("row").to_numpy()
    columns = {}
    for name in found.schema.names:
        if name not in {"row", "area", "as_of_us"}:
            columns[name] = np.full(n_rows, np.nan)
            columns[name][row] = found.column(name).to_numpy()
    as_of_us = np.zeros(n_rows, dtype=np.int64)
    as_of_us[row] = found.column("as_of_us").to_numpy()
    areas = found.column("area").combine_chunks().dictionary_encode()
    area = np.full(n_rows, -1, dtype=np.int32)
    area[row] = pc.fill_null(areas.indices, -1).to_numpy()
    return {**columns, "as_of_us": as_of_us}, areas.dictionary.to_pylist(), area


def _ahead(blocks: Iterator[Block]) -> Iterator[Block]:
    """Yield the blocks, the next one being read while the present one is used."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = pool.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = pool.submit(next, blocks, None)
            yield block


def _attributes(plan: Layout, block: Block, matrix: NDArray[np.float32], vocabulary: Vocabulary) -> None:
    """Write age, tenure and the vocabulary's attributes; what is not known stays NaN."""
    codes = {item.id: {category: code for code, category in enumerate(item.categories)} for item in vocabulary.attributes}
    as_of_us = block.people["as_of_us"]
    for column in plan.columns("age", "tenure", "attribute"):
        feature = plan.features[column]
        if feature.statistic == "age":
            years = as_of_us.astype("datetime64[us]").astype("datetime64[Y]").astype(np.int64) + 1970 - block.people["birth_year"]
            matrix[:, column] = np.where(years >= 0, years, np.nan)
        elif feature.statistic == "tenure":
            matrix[:, column] = as_of_us // DAY - np.floor(block.people["joined_us"] / DAY)
        else:
            given = block.people[f"attribute_{feature.id}"]
            wanted = None if feature.category is None else codes[str(feature.id)][feature.category]
            matrix[:, column] = given if wanted is None else np.where(np.isnan(given), np.nan, given == wanted)


def fill_own(block: Block, plan: Layout, vocabulary: Vocabulary, matrix: NDArray[np.float32], pool: ThreadPoolExecutor) -> NDArray[np.int64]:
    """Fill a block's rows with all that a person's own history says; return how soon each slides."""
    status, slides = kernel.reduce(block.batch, plan.reduction, matrix, pool, WORKERS)
    if status != kernel.FINE:
        raise VectorsError(_REFUSALS[status])
    _attributes(plan, block, matrix, vocabulary)
    return slides
