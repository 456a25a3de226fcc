"""Who may be learned from: decided at the time of the training, kept with the run, and the same for the same."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from features.database.store import Store
from features.permission.ledger import Event, Ledger
from training.config import ConfigError, PersuadabilityConfig
from training.permitted import NotPermittedError, permitted, training_use
from training.trials import experiment_rows, trial_datasets

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
CAMPAIGN = '[uses.campaign]\npurpose = "campaign_messages"'


def reopened(workspace):
    return type(workspace).open(workspace.root)


def changed(workspace, old, new):
    path = workspace.root / "audience.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    return reopened(workspace)


def said(workspace, *events):
    store = Store(workspace.database_url)
    Ledger(store, workspace.signing_key()).append(events, now=max(event.at for event in events), door="command")
    store.close()


def ids_of(workspace):
    return experiment_rows(workspace, "story", now=NOW).drawn["person_id"].to_numpy(dtype=str)


def test_who_objected_is_not_learned_from(trainable):

    before = experiment_rows(trainable, "story", now=NOW)
    gone = sorted(before.drawn["person_id"])[:3]
    said(trainable, *(Event(person, "objected", "any", "any", NOW - timedelta(days=1)) for person in gone))
    after = experiment_rows(trainable, "story", now=NOW)
    assert set(before.drawn["person_id"]) - set(after.drawn["person_id"]) == set(gone)
    assert len(after.X) == len(after.drawn) == len(before.drawn) - 3
    assert (before.counts["not_permitted"], after.counts["not_permitted"]) == (0, 3)
    assert after.permission.counts == {"allowed": len(after.drawn), "objected": 3}
    (dataset, *_) = trial_datasets(after, PersuadabilityConfig(minimum_per_arm=10))
    assert dataset.permission == after.permission


def test_the_snapshot_is_the_same_for_the_same_and_names_nobody(trainable):

    people = ids_of(trainable)
    allowed, snapshot = permitted(trainable, people, now=NOW)
    assert allowed.all()
    again = permitted(trainable, people[::-1], now=NOW)[1]
    assert again == snapshot
    assert permitted(trainable, people[:-1], now=NOW)[1].hash != snapshot.hash
    said(trainable, Event(people[0], "objected", "any", "any", NOW - timedelta(days=1)))
    kept, other = permitted(trainable, np.repeat(people, 2), now=NOW)
    assert np.flatnonzero(~kept).tolist() == [0, 1]
    assert other.hash != snapshot.hash
    assert str(other) == f"{len(people) - 1:,} people may be learned from for the use campaign; left out: 1 objected"
    assert people[0] not in str(other.to_state())
    assert permitted(trainable, people, now=NOW - timedelta(days=2))[0].all(), "as of then"


def test_nobody_left_is_said_with_the_rules(trainable):

    people = ids_of(trainable)
    said(trainable, *(Event(person, "objected", "any", "any", NOW - timedelta(days=1)) for person in people))
    with pytest.raises(NotPermittedError, match=rf"nobody may be learned from for the use campaign: objected \({len(people):,}\)"):
        experiment_rows(trainable, "story", now=NOW)


def test_a_training_without_a_use_is_refused(trainable):
    assert training_use(trainable)[0] == "campaign"
    two = changed(
        trainable, CAMPAIGN, CAMPAIGN.replace("campaign]", "other]") + '\nchannel_class = "offline"\nsponsor_type = "ngo"\njurisdiction = "eu"\n\n' + CAMPAIGN
    )
    with pytest.raises(ConfigError, match=r"training\.use: say what the models are for .*use_incomplete.*: choose one of campaign, other"):
        training_use(two)
    with pytest.raises(ConfigError, match=r"use 'door' is not in audience\.toml"):
        training_use(changed(two, "[uses.campaign]", '[training]\nuse = "door"\n\n[uses.campaign]'))
    named = changed(two, 'use = "door"', 'use = "other"')
    assert training_use(named) == ("other", named.permission.uses["other"])
    with pytest.raises(ConfigError, match=r"declare it as \[uses\.NAME\]"):
        training_use(replace_uses(named))


FAITH = """[attributes.faith]
type = "numeric"
sensitivity = "special"
classed_by = "An officer"
why = "members said so, for this"
en = "Faith"

"""


def test_an_attribute_of_special_sensitivity_is_learned_from_only_where_somebody_says_so_and_never_for_online_targeting(trainable):
    held = changed(trainable, "[uses.campaign]", FAITH + "[uses.campaign]")
    assert "attribute|id=faith" not in experiment_rows(held, "story", now=NOW).X
    read = changed(held, "[attributes.faith]", "[attributes.faith]\nin_models = true")
    assert "attribute|id=faith" in experiment_rows(read, "story", now=NOW).X
    online = changed(read, 'channel_class = "offline"', 'channel_class = "online_targeted"')
    with pytest.raises(ConfigError, match=r"attributes\.faith\.in_models: the use 'campaign' .* online_targeted.*rule L4, special_category_profiling"):
        experiment_rows(online, "story", now=NOW)
    without = experiment_rows(changed(online, "in_models = true", "in_models = false"), "story", now=NOW)
    assert without.own
    assert "attribute|id=faith" not in without.X


def replace_uses(workspace):
    text = (workspace.root / "audience.toml").read_text()
    begin, end = text.index("[uses."), text.index("[", text.index("[uses.campaign]") + 1)
    (workspace.root / "audience.toml").write_text(text[:begin].replace('[training]\nuse = "other"\n', "") + text[end:])
    return replace(reopened(workspace))


def test_what_is_for_online_targeting_is_learned_from_own_rows(trainable):
    """All rows of the workspace are of a source that is not known, so none is own: nobody is left out for that, and nothing of theirs is learned."""
    before = experiment_rows(trainable, "story", now=NOW)
    online = changed(trainable, 'channel_class = "offline"', 'channel_class = "online_targeted"')
    after = experiment_rows(online, "story", now=NOW)
    assert (before.own, after.own) == (False, True)
    assert after.drawn["person_id"].tolist() == before.drawn["person_id"].tolist()
    counts = [name for name in after.X.columns if name.startswith("count|")]
    assert before.X[counts].to_numpy().any()
    assert not after.X[counts].to_numpy().any()
    (dataset, *_) = trial_datasets(after, PersuadabilityConfig(minimum_per_arm=10))
    assert dataset.own
