"""Turn the file of the social pressure experiment into files of the declared tables, in a workspace: `python tables.py WORKSPACE`.

With `--shuffle SEED` the arms are dealt anew among the people, so that nothing of the mailings is left to find. Nothing is fitted here.
"""

import argparse
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from training.real_data import RealDataError, data_folder

HERE = Path(__file__).parent
EXPERIMENT, OUTCOME, SOURCE = "social_pressure", "primary_06", "voter_roll"
ARMS = {"No Postcard": "control", "Civic Duty": "civic_duty", "Hawthorne": "hawthorne", "Self": "self", "Neighbors": "neighbors"}
PROBABILITY = {arm: 5 / 9 if arm == "control" else 1 / 9 for arm in ARMS.values()}
YEAR = 2006
ASSIGNED, MEASURED = "2006-07-15T00:00:00Z", "2006-08-08T23:59:59Z"  # before the mailing of late July; election day
ELECTIONS = {
    "primary_00": "2000-08-08",
    "general_00": "2000-11-07",
    "primary_02": "2002-08-06",
    "general_02": "2002-11-05",
    "primary_04": "2004-08-03",
    "general_04": "2004-11-02",
}


def read(folder: Path) -> pd.DataFrame:
    """Return the people of the file, with `person_id` by row; what describes the mailing (`neighbors`) is left out."""
    frame = pd.read_parquet(folder / "social_pressure.parquet").drop(columns="neighbors")
    return frame.assign(person_id=[f"ggl:{row}" for row in range(len(frame))], arm=frame["treatment"].map(ARMS))


def people(frame: pd.DataFrame) -> pd.DataFrame:
    """Return people; the file's age is the one in the year of the experiment."""
    columns = {
        "person_id": frame["person_id"],
        "birth_year": YEAR - frame["age"],
        "status": "contact",
        "source_id": SOURCE,
        "sex": frame["sex"].str.lower(),
        "household_size": frame["hh_size"],
    }
    return pd.DataFrame(columns)


def interactions(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one interaction per person and election in which the person voted."""
    parts = []
    for election, date in ELECTIONS.items():
        voters = frame.loc[frame[election] == 1, "person_id"]
        columns = {
            "interaction_id": voters.str.replace(":", "-", regex=False) + "-" + election,
            "person_id": voters,
            "occurred_at": pd.Timestamp(f"{date}T12:00:00Z"),
            "kind": "voted_" + election.partition("_")[0],
            "channel": "polls",
            "source_id": SOURCE,
            "collected_how": "public",
        }
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def assignments(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the draw; the blocks of the design stand for what was drawn as one."""
    columns = {
        "experiment_id": EXPERIMENT,
        "person_id": frame["person_id"],
        "arm": frame["arm"],
        "probability": frame["arm"].map(PROBABILITY),
        "assigned_at": ASSIGNED,
        "unit_id": "block-" + frame["cluster"].astype(str),
    }
    return pd.DataFrame(columns)


def outcomes(frame: pd.DataFrame) -> pd.DataFrame:
    """Return who voted in the primary of August 2006."""
    return pd.DataFrame(
        {"experiment_id": EXPERIMENT, "person_id": frame["person_id"], "outcome": OUTCOME, "value": frame["primary_06"], "measured_at": MEASURED}
    )


def write(folder: Path, workspace: Path, *, shuffle: int | None = None) -> None:
    """Write `audience.toml` and `raw/` of the data in `folder` to `workspace`; `shuffle` deals the arms anew."""
    raw = workspace / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    frame = read(folder)
    if shuffle is not None:
        frame["arm"] = np.random.default_rng(shuffle).permutation(frame["arm"].to_numpy())
    shutil.copy(HERE / "audience.toml", workspace)
    for table in (people, interactions, assignments, outcomes):
        table(frame).to_parquet(raw / f"{table.__name__}.parquet", index=False)
    source = {"source_id": SOURCE, "type": "voter_roll", "collected_how": "public", "collected_at": ASSIGNED}
    pd.DataFrame([source]).to_csv(raw / "sources.csv", index=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--shuffle", type=int, metavar="SEED")
    given = parser.parse_args()
    try:
        write(data_folder("gerber_green_larimer"), given.workspace, shuffle=given.shuffle)
    except RealDataError as error:
        sys.exit(str(error))
