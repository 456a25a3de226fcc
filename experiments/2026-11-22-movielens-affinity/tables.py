"""Turn the raw files of MovieLens 100K into files of the declared tables, in a workspace: `python tables.py WORKSPACE`.

The protocol is that of the data's README: cuts at 30, 50 and 70% of a person's ratings, a genre's label is whether at least 30% of the
next ten films carry it, and 70% of the people are for training. Nothing is fitted here. `labels.parquet` holds the protocol's rows; `labels_more.parquet`
holds the same rows of the test people, and rows of the training people at every 5% of their ratings.

The protocol counts ratings, not time, and most people rate everything within one hour, so by default the clock counts ratings too: a
person's first rating is on day 0, the next on day 1, and a window of ten days holds the last ten films. `--clock seconds` keeps the file's own times.
"""

import argparse
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from training.real_data import RealDataError, data_folder

HERE = Path(__file__).parent
CUTS = (0.3, 0.5, 0.7)
MORE_CUTS = tuple(part / 20 for part in range(1, 20))  # of training people alone
BEFORE, NEXT = 5, 10  # films that must precede a cut, and follow it
SHARE, RARE = 0.3, 0.02  # share of the next films that makes a label; genres whose label is rarer are left out
TRAIN = 0.7
SOURCE = "movielens_100k"
BEGIN = pd.Timestamp("1997-09-20T00:00:00Z")  # the day of the first rating in the file


def read(folder: Path, clock: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return ratings (user, item, rating, occurred_at, place: 0 is the person's first) in order, and people."""
    ratings = pd.read_csv(folder / "ml-100k.inter", sep="\t", names=["user", "item", "rating", "seconds"], header=0)
    ratings = ratings.sort_values(["user", "seconds"], kind="stable", ignore_index=True)
    ratings["place"] = ratings.groupby("user").cumcount()
    if clock == "ratings":
        ratings["occurred_at"] = BEGIN + pd.to_timedelta(ratings["place"], unit="D")
    else:  # many ratings share a second: their stable order is kept as microseconds, so that every cut has an as_of of its own
        ratings["occurred_at"] = pd.to_datetime(ratings["seconds"] * 1_000_000 + ratings["place"], unit="us", utc=True)
    people = pd.read_csv(folder / "ml-100k.user", sep="\t", names=["user", "age", "gender", "occupation", "zip"], header=0)
    return ratings, people


def read_genres(folder: Path) -> pd.DataFrame:
    """Return one row per film and genre (item, topic)."""
    films = pd.read_csv(folder / "ml-100k.item", sep="\t", names=["item", "title", "year", "genres"], header=0, dtype={"year": str})
    genres = films.assign(topic=films["genres"].str.split(" ")).explode("topic")[["item", "topic"]]
    genres["topic"] = genres["topic"].str.lower().str.replace("'", "", regex=False).map(lambda genre: re.sub(r"[^a-z0-9]", "_", genre))
    return genres


def person(user: pd.Series) -> pd.Series:
    """Return the ids `ml:1` of users."""
    return "ml:" + user.astype(str)


def interactions(ratings: pd.DataFrame, genres: pd.DataFrame) -> pd.DataFrame:
    """Return one interaction per rating and genre."""
    rows = ratings.merge(genres, on="item", sort=False)
    columns = {
        "interaction_id": "ml-" + rows["user"].astype(str) + "-" + rows["item"].astype(str) + "-" + rows["topic"],
        "person_id": person(rows["user"]),
        "occurred_at": rows["occurred_at"],
        "kind": "rating",
        "channel": "web",
        "topic": rows["topic"],
        "value": rows["rating"].astype(float),
        "source_id": SOURCE,
        "collected_how": "from_person",
    }
    return pd.DataFrame(columns)


def labels(ratings: pd.DataFrame, genres: pd.DataFrame, train_cuts: Sequence[float] = CUTS) -> pd.DataFrame:
    """Return person_id, as_of, topic, label, split and block; one block, because the protocol splits people and not time.

    Training people have rows at `train_cuts`, among which are CUTS; test people at CUTS. Which genres are rare is told by everybody's rows at CUTS.
    """
    carries = pd.crosstab(genres["item"], genres["topic"])
    order = np.random.RandomState(0).permutation(np.sort(ratings["user"].unique()))
    train = set(order[: int(TRAIN * len(order))])
    keys, rows, usual = [], [], []
    for user, mine in ratings.groupby("user"):
        at_cuts = {int(len(mine) * part) for part in CUTS}
        for cut in sorted(at_cuts | {int(len(mine) * part) for part in train_cuts} if user in train else at_cuts):
            if cut >= BEFORE and len(mine) - cut >= NEXT:
                rows.append(carries.loc[mine["item"].iloc[cut : cut + NEXT]].to_numpy().mean(axis=0) >= SHARE)
                keys.append((user, mine["occurred_at"].iloc[cut], "train" if user in train else "test", 0))
                usual.append(cut in at_cuts)
    wide = pd.DataFrame(np.array(rows, dtype=int), columns=carries.columns)
    wide = wide.loc[:, wide[usual].mean() > RARE]
    columns = ["person_id", "as_of", "split", "block"]
    told = pd.DataFrame(keys, columns=columns)
    told["person_id"] = person(told["person_id"])
    return pd.concat([told, wide], axis=1).melt(id_vars=columns, var_name="topic", value_name="label")


def write(folder: Path, workspace: Path, *, clock: str = "ratings") -> None:
    """Write `audience.toml`, `raw/`, `labels.parquet` and `labels_more.parquet` of the data in `folder` to `workspace`."""
    raw = workspace / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    ratings, people = read(folder, clock)
    genres = read_genres(folder)
    shutil.copy(HERE / "audience.toml", workspace)
    interactions(ratings, genres).to_parquet(raw / "interactions.parquet", index=False)
    people.assign(person_id=person(people["user"]), status="contact", source_id=SOURCE).drop(columns=["user", "zip"]).to_csv(raw / "people.csv", index=False)
    source = {"source_id": SOURCE, "type": "survey", "collected_how": "from_person", "collected_at": ratings["occurred_at"].min().isoformat()}
    pd.DataFrame([source]).to_csv(raw / "sources.csv", index=False)
    for name, cuts in (("labels", CUTS), ("labels_more", MORE_CUTS)):
        labels(ratings, genres, cuts).to_parquet(workspace / f"{name}.parquet", index=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--clock", choices=("ratings", "seconds"), default="ratings")
    given = parser.parse_args()
    try:
        write(data_folder("movielens100k"), given.workspace, clock=given.clock)
    except RealDataError as error:
        sys.exit(str(error))
