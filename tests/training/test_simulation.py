"""The simulated campaign obeys its own law, and its tables hold nothing that is not declared."""

import gzip
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from features.checks import Checks
from features.permission.rules import Preconditions
from features.tables import TABLES, arrow_schema, columns
from features.workspace import Workspace
from training.simulated_history import ANSWER_FATIGUE, KINDS
from training.simulation import UNTIL, SimulationError, horizon_days, simulate, vocabulary, write

TABLES_OF = ("people", "sources", "consents", "assignments", "outcomes", "interactions")


@pytest.fixture(scope="module")
def simulation():
    return simulate(people=12_000, seed=5)


@pytest.fixture(scope="module")
def interactions(simulation):
    return simulation.interactions.to_pandas()


def realised(simulation, as_of, days):
    """Recompute the label from the raw rows: did the person answer with the topic in [as_of, as_of + days)?"""
    rows = simulation.interactions.to_pandas()
    seen = rows[rows.kind.isin(simulation.vocabulary.engagement_kinds) & ~rows.is_machine & (rows.occurred_at >= as_of)]
    seen = seen[seen.occurred_at < as_of + timedelta(days=days)]
    answered = set(zip(seen.person_id, seen.topic, strict=True))
    truth = simulation.affinity(as_of, horizon_days=days).to_pandas()
    truth["label"] = [pair in answered for pair in zip(truth.person_id, truth.topic, strict=True)]
    return truth


@pytest.fixture(scope="module")
def truth(simulation):
    return realised(simulation, UNTIL - timedelta(days=100), 60)


def test_equal_arguments_give_equal_rows():
    one, two, other = simulate(300, seed=1, days=200), simulate(300, seed=1, days=200), simulate(300, seed=2, days=200)
    for name in (*TABLES_OF, "uplift"):
        assert getattr(one, name).equals(getattr(two, name))
    assert one.affinity(UNTIL, horizon_days=30).equals(two.affinity(UNTIL, horizon_days=30))
    assert not one.interactions.equals(other.interactions)


@pytest.mark.parametrize("people", [1, 2])
def test_one_person_and_two_people_make_a_campaign(people):
    simulation = simulate(people, seed=3)
    for name in TABLES_OF:
        assert getattr(simulation, name).schema.equals(arrow_schema(TABLES[name], simulation.vocabulary))


def test_rows_are_of_the_declared_tables(simulation):
    for name in TABLES_OF:
        table = getattr(simulation, name)
        assert table.schema.equals(arrow_schema(TABLES[name], simulation.vocabulary))
        for column in columns(TABLES[name], simulation.vocabulary):
            values = table.column(column.name)
            assert column.nullable or values.null_count == 0
            if column.allowed:
                assert set(pc.unique(values).to_pylist()) <= {*column.allowed, None}
            if column.minimum is not None:
                assert pc.min(values).as_py() >= column.minimum
            if column.type == "time" and not column.future:
                assert pc.max(values).as_py() <= UNTIL


@pytest.mark.parametrize("name", TABLES_OF)
def test_every_row_passes_the_checks_of_the_import(simulation, name):
    checks = Checks(TABLES[name], simulation.vocabulary, now=UNTIL)
    for batch in getattr(simulation, name).to_batches():
        checked = checks.rows(batch, np.arange(batch.num_rows))
        assert checked.rows.num_rows == batch.num_rows, checked.faults.table()


def test_people_from_elsewhere_were_told_so_but_for_some_and_who_came_by_themselves_needs_no_telling(simulation):
    people, sources = simulation.people.to_pandas(), simulation.sources.to_pandas().set_index("source_id")
    elsewhere = people.source_id.map(sources.collected_how) == "third_party"
    assert people[~elsewhere].informed_at.isna().all()
    assert 0.7 < people[elsewhere].informed_at.notna().mean() < 0.8
    told = people[people.informed_at.notna() & people.joined_at.notna()]
    assert ((told.informed_at - told.joined_at) <= timedelta(days=20)).all()
    assert (told.informed_at > told.joined_at).all()


def test_petitions_and_events_differ_in_whether_they_support_the_organisation(simulation):
    sources = simulation.sources.to_pandas()
    assert set(sources[sources.supports_sponsor].type) == {"petition", "event"}
    assert not sources[sources.type == "petition"].supports_sponsor.all()
    assert sources[sources.type.isin(["broker", "contest"])].notice_hash.notna().all()


def test_keys_are_unique_but_for_the_duplicates_among_the_interactions(simulation, interactions):
    for name in ("people", "sources", "consents", "assignments", "outcomes"):
        frame = getattr(simulation, name).to_pandas()
        assert not frame.duplicated(list(TABLES[name].key)).any()
    again = interactions.duplicated("interaction_id")
    assert 0.007 < again.mean() < 0.013
    first = interactions[~again].set_index("interaction_id")
    copies = interactions[again].set_index("interaction_id")
    assert copies.equals(first.loc[copies.index])


def test_nothing_stands_outside_the_vocabulary(simulation, interactions):
    words = simulation.vocabulary
    assert len(words.topics) == 12
    assert set(interactions.kind) == {kind.id for kind in words.kinds}
    assert set(interactions.channel) == {channel.id for channel in words.channels}
    assert set(interactions.topic) == set(words.topic_ids)
    assert set(interactions.source_id) <= set(simulation.sources.column("source_id").to_pylist())
    assert set(interactions.person_id) <= set(simulation.people.column("person_id").to_pylist())
    directions = {kind.id: kind.direction for kind in words.kinds}
    assert (interactions.direction == interactions.kind.map(directions)).all()
    assert set(simulation.assignments.column("experiment_id").to_pylist()) == {experiment.id for experiment in words.experiments}
    for experiment in words.experiments:
        arms = simulation.assignments.filter(pc.field("experiment_id") == experiment.id).column("arm")
        assert set(arms.to_pylist()) == {experiment.control, *experiment.arms}


def test_every_word_is_there_in_three_languages():
    words = vocabulary()
    for group in (words.kinds, words.channels, words.topics, words.attributes, words.experiments):
        assert all(item.en and item.fr and item.nl for item in group)


def test_nobody_is_imitated(simulation):
    people = simulation.people.to_pandas()
    assert people.person_id.str.fullmatch(r"sim:\d{7}").all()
    assert people.area.str.fullmatch(r"Z\d{3}").all()
    assert not [name for name in people.columns if "name" in name or "email" in name or "phone" in name]


def test_late_arrivals_and_arrivals_in_order(interactions):
    assert (interactions.received_at >= interactions.occurred_at).all()
    delay = interactions.received_at - interactions.occurred_at
    assert 0.01 < (delay > timedelta(days=1)).mean() < 0.2
    assert (delay < timedelta(hours=1)).mean() > 0.7
    assert delay.max() < timedelta(days=30)


def test_true_probabilities_are_those_that_come_true(truth):
    error = np.sqrt((truth.probability * (1 - truth.probability)).sum()) / len(truth)
    assert abs(truth.label.mean() - truth.probability.mean()) < 4 * error
    assert truth.probability.between(0, 1).all()


def test_true_probabilities_come_true_by_decile_and_by_topic(truth):
    deciles = truth.probability.rank(method="first").floordiv(len(truth) / 10 + 1)
    for by in (deciles, truth.topic):
        for _, part in truth.groupby(by):
            error = np.sqrt((part.probability * (1 - part.probability)).sum()) / len(part)
            assert abs(part.label.mean() - part.probability.mean()) < 4.5 * error


def test_a_gap_moves_the_window(simulation):
    as_of = UNTIL - timedelta(days=90)
    gapped = simulation.affinity(as_of, horizon_days=30, gap_days=5).to_pandas().set_index(["person_id", "topic"]).probability
    later = simulation.affinity(as_of + timedelta(days=5), horizon_days=30).to_pandas().set_index(["person_id", "topic"]).probability
    assert (gapped == later.loc[gapped.index]).all()


def test_a_longer_horizon_is_never_less_probable(simulation):
    short, long = (simulation.affinity(UNTIL, horizon_days=days).column("probability").to_numpy() for days in (30, 90))
    assert (long >= short).all()
    assert long.mean() > 1.5 * short.mean()


def test_the_truth_has_something_to_find(truth):
    order = truth.sort_values("probability").label.to_numpy()
    answers = order.sum()
    area = ((np.flatnonzero(order) + 1).sum() - answers * (answers + 1) / 2) / (answers * (len(order) - answers))
    assert area > 0.8
    assert truth.groupby("topic").label.mean().between(0.01, 0.25).all()


def test_answers_rise_with_true_affinity_and_machine_opens_do_not(simulation, interactions, truth):
    affinity = truth.groupby("person_id").probability.mean()
    counted = interactions[~interactions.duplicated("interaction_id") & (interactions.occurred_at < UNTIL - timedelta(days=100))]
    sent = counted[counted.kind == "email_sent"].groupby("person_id").size()
    rates = {}
    for name, rows in (
        ("clicks", counted[(counted.kind == "email_click") & ~counted.is_machine]),
        ("machine", counted[(counted.kind == "email_open") & counted.is_machine]),
    ):
        share = (rows.groupby("person_id").size().reindex(sent.index).fillna(0) / sent)[sent >= 3]
        rates[name] = share.corr(affinity.reindex(share.index), method="spearman")
    assert rates["clicks"] > 0.3
    assert abs(rates["machine"]) < 0.06
    assert set(counted[counted.is_machine].kind) == {"email_open", "email_click"}


def test_messages_weary(simulation):
    sends = simulation.sends
    email = sends.channel == 0
    clicks = simulation.rows.take((simulation.rows.kind == KINDS.index("email_click")) & ~simulation.rows.is_machine)
    answered = set(zip(clicks.person, clicks.campaign, strict=True))
    hit = np.array([pair in answered for pair in zip(sends.person[email], sends.campaign[email], strict=True)])
    expected_fresh = 1 / (1 + (1 / sends.answer[email] - 1) * np.exp(-ANSWER_FATIGUE * sends.fatigue[email]))
    tired = (sends.fatigue[email] >= 2) & (sends.time[email] < simulation.calendar.days - 10)
    assert hit[tired].mean() < 0.85 * expected_fresh[tired].mean()


def test_seasons_supply_and_drift_are_there(simulation, interactions):
    answers = interactions[interactions.kind == "petition_signed"]
    by_month = answers.groupby([answers.occurred_at.dt.year, answers.occurred_at.dt.month]).size()
    assert by_month.iloc[1:-1].max() > 1.3 * by_month.iloc[1:-1].min()
    by_weekday = answers.groupby(answers.occurred_at.dt.day_of_week).size()
    assert by_weekday.max() > 1.15 * by_weekday.min()
    share = simulation.calendar.supply
    assert ((share.max(axis=0) / share.min(axis=0)) > 1.5).all()
    assert simulation.population.drift.std() > 0.1


def test_nobody_is_written_to_without_consent_or_after_leaving(simulation, interactions):
    consents = simulation.consents.to_pandas()
    for kind, channel in (("email_sent", "email"), ("sms_sent", "sms")):
        given = consents[(consents.event == "given") & (consents.channel == channel) & (consents.purpose == "campaign_messages")].set_index("person_id")["at"]
        left = consents[(consents.event == "withdrawn") & (consents.channel == channel)].set_index("person_id")["at"]
        objected = consents[consents.event == "objected"].set_index("person_id")["at"]
        sent = interactions[interactions.kind == kind]
        assert set(sent.person_id) <= set(given.index)
        for end in (left, objected):
            when = sent.person_id.map(end)
            assert not (sent.occurred_at > when).any()
    assert set(consents.event) >= {"given", "refused", "withdrawn", "objected"}


def test_arms_are_balanced_and_drawn_by_household(simulation):
    assignments = simulation.assignments.to_pandas()
    people = simulation.people.to_pandas().set_index("person_id")
    for _, drawn in assignments.groupby("experiment_id"):
        treated = drawn.arm != "control"
        units = drawn.groupby("unit_id").arm
        assert (units.nunique() == 1).all()
        assert abs(treated.mean() - 0.5) < 4 * 0.5 / np.sqrt(units.ngroups) * 1.5
        assert (drawn.probability == 0.5).all()
        birth = people.birth_year.reindex(drawn.person_id).astype(float).to_numpy()
        one, two = (values[~np.isnan(values)] for values in (birth[treated], birth[~treated]))
        assert abs(one.mean() - two.mean()) < 4.5 * np.sqrt(one.var() / len(one) + two.var() / len(two))


def test_the_difference_in_means_is_the_true_uplift(simulation):
    joined = simulation.assignments.to_pandas().merge(simulation.outcomes.to_pandas(), on=["experiment_id", "person_id"])
    joined = joined.merge(simulation.uplift.to_pandas(), on=["experiment_id", "person_id"], suffixes=("", "_told"))
    assert len(joined) == len(simulation.assignments)
    assert (joined.measured_at > joined.assigned_at).all()
    for _, part in joined.groupby("experiment_id"):
        treated = part[part.arm != "control"].value
        control = part[part.arm == "control"].value
        error = np.sqrt(treated.var() / len(treated) + control.var() / len(control))
        assert abs(treated.mean() - control.mean() - part.uplift.mean()) < 4 * error


def test_one_experiment_differs_between_people_and_one_does_not(simulation):
    uplift = simulation.uplift.to_pandas().groupby("experiment_id").uplift
    assert uplift.std().loc["tenants_story"] == pytest.approx(0.07, abs=0.01)
    assert uplift.mean().loc["tenants_story"] == pytest.approx(0.05, abs=0.01)
    assert uplift.std().loc["pensions_card"] == pytest.approx(0, abs=1e-9)
    assert uplift.mean().loc["pensions_card"] == pytest.approx(0.01)


def test_uplift_can_be_seen_in_the_history_before_assignment(simulation, interactions):
    assigned_at = UNTIL - timedelta(days=70)
    seen = interactions[~interactions.duplicated("interaction_id") & (interactions.received_at <= assigned_at) & ~interactions.is_machine]
    seen = seen[seen.kind.isin(simulation.vocabulary.engagement_kinds) & (seen.topic == "housing") & (seen.occurred_at >= assigned_at - timedelta(days=365))]
    uplift = simulation.uplift.to_pandas()
    uplift = uplift[uplift.experiment_id == "tenants_story"].set_index("person_id").uplift
    count = seen.groupby("person_id").size().reindex(uplift.index).fillna(0)
    assert count.corr(uplift, method="spearman") > 0.5


def test_a_workspace_is_written(tmp_path):
    simulation = simulate(400, seed=8, days=200)
    folder = write(simulation, tmp_path / "made", assessed=date(2031, 2, 3))
    assert Workspace.open(folder).vocabulary == simulation.vocabulary
    assert Workspace.open(folder).permission.preconditions == Preconditions("DPIA-2026-01", date(2031, 2, 3))
    files = sorted((folder / "raw").glob("interactions-*.parquet"))
    assert pa.concat_tables([pq.read_table(file) for file in files]).equals(simulation.interactions)
    for name in ("people", "sources", "consents", "assignments", "outcomes"):
        with gzip.open(folder / "raw" / f"{name}.csv.gz") as file:
            table = csv.read_csv(file)
        assert table.num_rows == getattr(simulation, name).num_rows
        assert table.column_names == getattr(simulation, name).column_names
    affinity = pq.read_table(folder / "truth" / "affinity.parquet")
    assert set(affinity.column("as_of").to_pylist()) == {UNTIL, UNTIL - timedelta(days=horizon_days())}
    assert pq.read_table(folder / "truth" / "uplift.parquet").equals(simulation.uplift)
    with pytest.raises(SimulationError, match="workspace already"):
        write(simulation, folder)


def test_some_of_the_people_are_known_to_be_too_young(simulation):
    years = simulation.people.column("birth_year").to_numpy(zero_copy_only=False)
    young = years[years > 2024 - 18]
    assert set(young) == {2014}
    assert 10 < len(young) < 100


def test_what_cannot_be_simulated_is_refused():
    with pytest.raises(ValueError, match="at least 1 person"):
        simulate(0)
    with pytest.raises(ValueError, match="120 days"):
        simulate(10, days=30)
    with pytest.raises(ValueError, match="midnight in UTC"):
        simulate(10, until=datetime(2026, 11, 1, 12, tzinfo=UTC))
    with pytest.raises(ValueError, match="midnight in UTC"):
        simulate(10, until=datetime(2026, 11, 1))  # noqa: DTZ001 - a naive time is what is tested
    simulation = simulate(10, days=200)
    with pytest.raises(ValueError, match="whole days"):
        simulation.affinity(UNTIL + timedelta(hours=3), horizon_days=30)
    with pytest.raises(ValueError, match="whole days"):
        simulation.affinity(UNTIL, horizon_days=400)
    with pytest.raises(ValueError, match="at least 1 day"):
        simulation.affinity(UNTIL, horizon_days=0)
