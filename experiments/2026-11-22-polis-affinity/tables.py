"""Turn one Polis conversation into files of the declared tables, in a workspace: `python tables.py WORKSPACE [--conversation NAME]`.

A vote is an interaction; a group of statements of like words is a topic. The groups come from the statements' text alone: TF-IDF, a
truncated SVD of 32 dimensions, k-means with 8 groups, all seeded. A topic is called by the three words that stand out in it. As on MovieLens
the clock counts: a voter's first vote is on day 0, the next on day 1, for most people vote within minutes. At 30, 50 and 70% of a person's
votes the label of a topic says whether the person agrees with at least one of its statements in the next ten votes. 70% of the voters are for training.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from training.real_data import RealDataError, data_folder

CONVERSATION = "scoop-hivemind.biodiversity"
GROUPS = 8
CUTS = (0.3, 0.5, 0.7)
BEFORE, NEXT = 5, 10  # votes that must precede a cut, and follow it
TRAIN = 0.7
STOP_WORDS = {"austria-climate.5twd2jsnkf.2022-08-08": "german.txt"}
"""Files of words that say nothing of the matter, for conversations that are not in English: else statements are grouped by their grammar."""
KINDS = {1: "agreed", -1: "disagreed", 0: "passed"}
BEGIN = pd.Timestamp("2020-01-01T00:00:00Z")
WORDS = """[workspace]
name = "Polis: {conversation}"

[features]
# On the clock of tables.py a day is one vote: the last 3, 10 and 20 votes, next to all of them.
windows_days = [3, 10, 20]
half_lives_days = [10]
leave_out = ["hours and weekdays"]   # a clock that counts votes has neither

[uses.study]
purpose = "research"
channel_class = "offline"
sponsor_type = "individual"
jurisdiction = "none"

[channels.web]
en = "the website"
fr = "le site"
nl = "de website"

[kinds.agreed]
direction = "in"
engagement = true
en = ["agreement", "agreements"]
fr = ["accord", "accords"]
nl = ["instemming", "instemmingen"]

[kinds.disagreed]
direction = "in"
en = ["disagreement", "disagreements"]
fr = ["désaccord", "désaccords"]
nl = ["afwijzing", "afwijzingen"]

[kinds.passed]
direction = "in"
en = ["pass", "passes"]
fr = ["abstention", "abstentions"]
nl = ["onthouding", "onthoudingen"]

[training.affinity]
labels = "labels.parquet"

[training.affinity.model]
refit = true
"""


def grouped(comments: pd.DataFrame, stop_words: str | list[str] = "english") -> tuple[pd.Series, dict[str, str]]:
    """Return the topic of each statement (index comment-id), and each topic's words."""
    vectors = TfidfVectorizer(stop_words=stop_words, min_df=2, max_df=0.3, sublinear_tf=True)
    texts = comments["comment-body"].fillna("")
    weights = vectors.fit_transform(texts)
    space = make_pipeline(TruncatedSVD(min(32, weights.shape[1] - 1), random_state=0), Normalizer(copy=False)).fit_transform(weights)
    groups = KMeans(GROUPS, n_init=10, random_state=0).fit_predict(space)
    names = vectors.get_feature_names_out()
    words = {}
    for group in range(GROUPS):
        mean = np.asarray(weights[groups == group].mean(axis=0)).ravel() - np.asarray(weights[groups != group].mean(axis=0)).ravel()
        words[f"group_{group}"] = ", ".join(names[place] for place in mean.argsort()[::-1][:3])
    return pd.Series([f"group_{group}" for group in groups], index=comments["comment-id"]), words


def read(folder: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the votes in order (voter, statement, vote, topic, place: 0 is the voter's first, occurred_at), and the topics' words."""
    comments = pd.read_csv(folder / "comments.csv").sort_values("comment-id", ignore_index=True)
    listed = STOP_WORDS.get(folder.name)
    topics, words = grouped(comments, Path(__file__).with_name(listed).read_text(encoding="utf-8").split() if listed else "english")
    votes = pd.read_csv(folder / "votes.csv")
    votes = votes.sort_values(["voter-id", "timestamp", "comment-id"], kind="stable").drop_duplicates(
        ["voter-id", "comment-id"], keep="first", ignore_index=True
    )
    votes["topic"] = votes["comment-id"].map(topics)
    votes["place"] = votes.groupby("voter-id").cumcount()
    votes["occurred_at"] = BEGIN + pd.to_timedelta(votes["place"], unit="D")
    return votes, words


def interactions(votes: pd.DataFrame) -> pd.DataFrame:
    """Return one interaction per vote."""
    columns = {
        "interaction_id": "v-" + votes["voter-id"].astype(str) + "-" + votes["comment-id"].astype(str),
        "person_id": "polis:" + votes["voter-id"].astype(str),
        "occurred_at": votes["occurred_at"],
        "kind": votes["vote"].map(KINDS),
        "channel": "web",
        "topic": votes["topic"],
        "source_id": "polis",
        "collected_how": "from_person",
    }
    return pd.DataFrame(columns)


def labels(votes: pd.DataFrame, topics: list[str]) -> pd.DataFrame:
    """Return person_id, as_of, topic, label, split and block; one block, because the protocol splits people and not time."""
    agreed = pd.get_dummies(votes["topic"]).reindex(columns=topics, fill_value=False).mul(votes["vote"] == 1, axis=0).to_numpy()
    order = np.random.RandomState(0).permutation(np.sort(votes["voter-id"].unique()))
    train = set(order[: int(TRAIN * len(order))])
    rows = []
    for voter, mine in votes.groupby("voter-id"):
        for cut in (int(len(mine) * part) for part in CUTS):
            if cut >= BEFORE and len(mine) - cut >= NEXT:
                place = mine.index[cut]
                for topic, found in zip(topics, agreed[place : place + NEXT].any(axis=0), strict=True):
                    rows.append((f"polis:{voter}", votes["occurred_at"][place], topic, int(found), "train" if voter in train else "test", 0))
    return pd.DataFrame(rows, columns=["person_id", "as_of", "topic", "label", "split", "block"]).drop_duplicates(["person_id", "as_of", "topic"])


def write(folder: Path, workspace: Path) -> None:
    """Write `audience.toml`, `raw/` and `labels.parquet` of the conversation in `folder` to `workspace`."""
    raw = workspace / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    votes, words = read(folder)
    topics = "".join(f"\n[topics.{topic}]\nen = {json.dumps(text, ensure_ascii=False)}\n" for topic, text in words.items())
    (workspace / "audience.toml").write_text(WORDS.format(conversation=folder.name) + topics, encoding="utf-8")
    interactions(votes).to_parquet(raw / "interactions.parquet", index=False)
    source = {"source_id": "polis", "type": "deliberation", "collected_how": "from_person", "collected_at": BEGIN.isoformat()}
    pd.DataFrame([source]).to_csv(raw / "sources.csv", index=False)
    labels(votes, list(words)).to_parquet(workspace / "labels.parquet", index=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--conversation", default=CONVERSATION)
    given = parser.parse_args()
    try:
        write(data_folder(f"polis/{given.conversation}"), given.workspace)
    except RealDataError as error:
        sys.exit(str(error))
