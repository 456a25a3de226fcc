"""Which of several messages to send: the best to all, or each person's own; on the two experiments that had several."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from data import ELECTIONS
from peers import THREADS

from models.messages import Messages
from models.persuadability import Persuadability
from training.choice import holm
from training.real_data import data_folder

Given = tuple[pd.DataFrame, np.ndarray, np.ndarray, dict[str, float], np.ndarray]
"""Columns, outcome, arm drawn, its probabilities, what was drawn as one."""


def mailings() -> Given:
    """Return Gerber, Green & Larimer 2008 with its four mailings."""
    people = pd.read_parquet(data_folder("gerber_green_larimer") / "social_pressure.parquet")
    X = people[["age", *ELECTIONS, "hh_size"]].assign(female=people["sex"] == "Female")
    shares = dict.fromkeys(("Civic Duty", "Hawthorne", "Neighbors", "Self"), 1 / 9) | {"No Postcard": 5 / 9}
    return X, people["primary_06"].to_numpy(dtype=np.float64), people["treatment"].to_numpy(dtype=str), shares, people["cluster"].to_numpy()


def mails(outcome: str) -> Given:
    """Return Hillstrom's two e-mails."""
    people = pd.read_parquet(data_folder("hillstrom") / "hillstrom.parquet")
    X = people[["recency", "history", "mens", "womens", "newbie"]].join(pd.get_dummies(people[["zip_code", "channel"]]))
    shares = dict.fromkeys(("Mens E-Mail", "Womens E-Mail", "No E-Mail"), 1 / 3)
    return X, people[outcome].to_numpy(dtype=np.float64), people["segment"].to_numpy(dtype=str), shares, np.arange(len(people))


CASES = {
    "Social pressure, four mailings": (mailings, "No Postcard"),
    "Hillstrom, two e-mails, visit": (lambda: mails("visit"), "No E-Mail"),
    "Hillstrom, two e-mails, conversion": (lambda: mails("conversion"), "No E-Mail"),
    "Hillstrom, two e-mails, spend": (lambda: mails("spend"), "No E-Mail"),
}


def chosen(title: str) -> dict[str, Any]:
    """Return the average effects of the messages, the lead of the best, what choosing by person gains over it, and the verdict."""
    make, control = CASES[title]
    X, y, arm, shares, group = make()
    chance = pd.DataFrame({name: np.full(len(X), share) for name, share in shares.items()})
    model = Messages(control=control, base=Persuadability(n_jobs=THREADS)).fit(X, y, treatment=arm, propensity=chance, groups=group)
    assert model.lead_ is not None
    assert model.by_person_ is not None
    adjusted = holm(model.effects_)
    return {
        "title": title,
        "rows": len(X),
        "effects": {name: [each.value, each.se, adjusted[name]] for name, each in model.effects_.items()},
        "lead": [model.lead_.value, model.lead_.se],
        "by_person": [model.by_person_.value, model.by_person_.se],
        "best": model.best_,
        "personal": model.personal_,
        "words": model.verdict(),
    }


def all_chosen() -> dict[str, Any]:
    """Return `chosen` for every case."""
    return {title: chosen(title) for title in CASES}
