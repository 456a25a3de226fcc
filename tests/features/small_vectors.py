"""Vectors of three people made of nothing: for tests of how vectors are held, shown and kept."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from features.catalogue import catalogue, definitions_hash
from features.vectors import Vectors
from features.vocabulary import Channel, Kind, Topic, Vocabulary

AT = datetime(2026, 3, 1, tzinfo=UTC)
FEW = Vocabulary(
    kinds=(Kind(id="signed", direction="in", engagement=True, en="signed"), Kind(id="sent", direction="out", en="sent")),
    channels=(Channel(id="email", en="email"),),
    topics=(Topic(id="housing", en="Housing"),),
)
FEATURES = catalogue(FEW)


def vectors(ids=("a:1", "b:2", "c:3"), as_ofs=None, *, as_of=AT, **changed):
    """Return vectors of random values, three of them missing; `changed` are other fields of `Vectors`."""
    matrix = np.random.default_rng(0).random((len(ids), len(FEATURES)), dtype=np.float32)
    matrix[:1, :3] = np.nan
    fields = {
        "person_ids": pa.array(ids, pa.large_string()),
        "matrix": matrix,
        "names": tuple(feature.name for feature in FEATURES),
        "as_of": as_of,
        "as_ofs": np.array(as_ofs or [as_of.replace(tzinfo=None)] * len(ids), dtype="datetime64[us]"),
        "definitions_hash": definitions_hash(feature.name for feature in FEATURES),
        "table_versions": {"interactions": 3, "people": 5},
        "vocabulary_fingerprint": FEW.fingerprint,
    }
    return Vectors(**fields | changed)
