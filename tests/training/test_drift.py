import dataclasses
import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import special
from typer.testing import CliRunner

from features.history import History
from features.permission.ledger import Event, Ledger
from features.permission.opening import opened
from features.publication import publish
from features.vectors import build
from features.workspace import Workspace
from models import artefact
from models.affinity import TopicAffinity
from training import drift_lines
from training.activity import DIMENSIONS, Activity
from training.bins import Bins, centre, count
from training.commands import app
from training.config import ConfigError, DriftConfig, parse_config, read_config
from training.drift import DriftError, _features, _sampled, measure_drift
from training.drift_lines import activity_lines, calibration_lines, feature_lines, features_verdict, pace_line, score_lines
from training.drift_words import feature_words
from training.reference import REFERENCE, NoReferenceError, make_reference, rates
from training.registry import POINTER, write_json
from training.resampling import PersonBootstrap
from training.snapshots import affinity_dataset, held_apart
from training.usual import Usual, UsualActivity
from training.verdicts import worst

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
CONFIG = DriftConfig()


@pytest.fixture(scope="module")
def made(campaign):
    """The campaign's data set, a small model of it, and what is kept of the training."""
    config = read_config(campaign).affinity
    dataset = affinity_dataset(campaign, config, now=NOW)
    train = dataset.train
    model = TopicAffinity(list(dataset.topics)).set_params(**config.model).fit(train.X, train.y, groups=train.person_ids, block=train.block)
    return dataset, model, make_reference(campaign, dataset, model.predict_proba(dataset.test.X), config)


def put_in_office(workspace, made, *, reference=None, file=True):
    """Make the model champion, with the reference given."""
    dataset, model, own = made
    folder = workspace.models / "affinity" / "1"
    shutil.rmtree(folder, ignore_errors=True)
    files = {REFERENCE: (reference or own).to_bytes()} if file else {}
    artefact.save(model, folder, metadata={"definitions_hash": dataset.definitions_hash}, files=files)
    artefact.sign(folder, workspace.signing_key())
    write_json(folder.parent / POINTER, {"name": "affinity", "version": 1, "digest": artefact.digest(folder)})


@pytest.fixture(scope="module")
def office(campaign, made, tmp_path_factory):
    """The campaign with the model in office and everyone's vectors published. Read only: `copied` is to be changed."""
    root = tmp_path_factory.mktemp("office") / "workspace"
    shutil.copytree(campaign.root, root)
    workspace = Workspace.open(root)
    put_in_office(workspace, made)
    publish(build(History(workspace.tables, workspace.vocabulary), workspace.vocabulary, NOW), workspace.vectors)
    return workspace


@pytest.fixture
def copied(office, tmp_path):
    shutil.copytree(office.root, tmp_path / "workspace")
    return Workspace.open(tmp_path / "workspace")


@pytest.fixture(scope="module")
def report(office):
    return measure_drift(office, now=NOW)


@pytest.fixture(scope="module")
def same_people(campaign, made):
    """The vectors of the very rows that the reference was made of."""
    dataset, _, reference = made
    built = build(History(campaign.tables, campaign.vocabulary), campaign.vocabulary, datetime.fromisoformat(reference.as_of))
    return built.only(np.isin(built.person_ids.to_pylist(), dataset.test.person_ids))


def test_identical_people_have_an_index_of_zero_and_are_stable(copied, made, same_people):
    publish(same_people, copied.vectors)
    found = measure_drift(copied, now=datetime.fromisoformat(made[2].as_of))
    assert {line.divergence.psi for line in (*found.features, *found.scores, *found.activity)} == {0.0}
    assert {line.divergence.js for line in (*found.features, *found.scores, *found.activity)} == {0.0}
    assert found.pace.factor == 1
    assert set(found.verdicts.values()) == {"stable"}
    assert found.verdict == "stable"
    assert found.actions == ("nothing: today's people are those it was made for",)
    assert not found.late


def test_whoever_may_not_be_learned_from_is_in_none_of_it(copied, same_people):
    """Their rows hold what would be seen; the report is that of vectors of the others."""
    objected = np.arange(len(same_people)) % 4 == 1
    store = opened(copied)
    events = [Event(person, "objected", "any", "any", NOW) for person in np.array(same_people.person_ids)[objected].tolist()]
    Ledger(store, copied.signing_key()).append(events, now=NOW, door="command")
    store.close()
    found = []
    strange = np.where(objected[:, None], np.float32(1e6), same_people.matrix)
    for vectors in (same_people.only(~objected), dataclasses.replace(same_people, matrix=strange)):
        publish(vectors, copied.vectors)
        found.append(measure_drift(copied, now=NOW))
    assert (found[0].people_now, found[0].features, found[0].scores) == (found[1].people_now, found[1].features, found[1].scores)
    assert found[1].people_scored == int((~objected).sum())


@pytest.mark.parametrize("column", ["age|since=birth_year", "count|kind=open|channel=any|topic=any|window=all"])
def test_a_feature_that_moved_is_named_first_in_plain_words(copied, same_people, column):
    moved = same_people.matrix.copy()
    moved[:, same_people.names.index(column)] += 40
    publish(dataclasses.replace(same_people, matrix=moved), copied.vectors)
    found = measure_drift(copied, now=NOW)
    first = found.features[0]
    assert (first.name, first.verdict) == (column, "drifted")
    assert found.verdicts["features"] == "watch", "one feature is not all of them"
    assert re.search(r"1\. drifted PSI \d+\.\d+ \(by chance 0\.\d+, usual \d+\.\d+\)  people such as “[^|]*”: \d+% then, \d+% now", str(found))
    assert found.features[1].divergence.psi == 0


def test_values_that_went_missing_are_told_and_send_to_the_import(copied, same_people):
    lost = same_people.matrix.copy()
    lost[:, same_people.names.index("age|since=birth_year")] = np.nan
    publish(dataclasses.replace(same_people, matrix=lost), copied.vectors)
    found = measure_drift(copied, now=NOW)
    first = found.features[0]
    assert (first.missing, first.missing_verdict, first.value) == ((0.0, 1.0), "drifted", None)
    assert "people such as “age not known”: 0% then, 100% now" in str(found)
    assert any(action.startswith("look at the import first: 1 feature is missing") for action in found.actions)


def test_just_after_a_training_calibration_is_that_of_its_test(report, made):
    dataset, _, reference = made
    labels = report.calibration
    assert labels.as_of == reference.as_of[:10]
    assert labels.people == len(dataset.test)
    assert (labels.begin, labels.end) == ("2026-09-30", "2026-10-30")
    for line in labels.lines[1:]:
        rate = reference.rates[line.topic]
        assert (line.found.pairs, line.then) == (rate.pairs, rate)
        assert line.found.predicted == pytest.approx(rate.predicted)
        assert line.found.observed.value == pytest.approx(rate.observed)
    everything = labels.lines[0]
    assert everything.topic is None
    assert everything.found.predicted == pytest.approx(everything.then.predicted)


def test_counts_in_sql_are_those_of_the_matrix(office, report, made):
    from features.publication import open_current

    vectors = open_current(office.vectors)
    assert {line.name for line in report.features} == set(made[2].features)
    for line in report.features[:10]:
        bins, values = made[2].features[line.name], vectors.matrix[:, vectors.names.index(line.name)]
        shares = count(values, bins.edges) / len(values)
        assert line.divergence.js == pytest.approx(drift_lines.Divergence.between(np.array(bins.shares), shares, 90, 360).js, abs=1e-9)
        assert line.missing == (bins.missing, pytest.approx(np.isnan(values).mean()))


def test_scores_are_those_of_a_seeded_sample(office, report, made):
    assert report.people_scored == 360
    few = measure_drift(office, now=NOW, config=DriftConfig(people=100))
    assert few.people_scored == 100
    assert _sampled(360, DriftConfig(people=100)).tolist() == _sampled(360, DriftConfig(people=100)).tolist()
    assert _sampled(360, DriftConfig(people=100)).tolist() != _sampled(360, DriftConfig(people=100, seed=1)).tolist()
    assert _sampled(100, DriftConfig(people=100)).tolist() == list(range(100))
    for line in report.scores:
        assert line.means[0] == pytest.approx(made[2].scores[line.topic].mean)
        assert 0 < line.means[1] < 1
        assert list(line.below[1]) == sorted(line.below[1])


def test_what_is_new_gone_or_not_listed_is_named(copied, by_hand):
    people = [f"van:{number:04d}" for number in range(200)]
    by_hand.interactions(copied, people, NOW - timedelta(days=2), kind="send", prefix="s-")
    by_hand.interactions(copied, people[:60], NOW - timedelta(days=2), kind="regatta", topic="boats", prefix="r-")
    found = measure_drift(copied, now=NOW)
    kinds, topics = (next(line for line in found.activity if line.dimension == name) for name in ("kind", "topic"))
    assert set(kinds.new) == {"send", "regatta"}
    assert kinds.unlisted == ("regatta",)
    assert (set(topics.new), topics.unlisted) == ({"boats"}, ("boats",))
    assert (kinds.verdict, topics.verdict) == ("drifted", "watch")
    assert "new: regatta" in str(found)
    assert "not in audience.toml: regatta" in str(found)
    assert any("look at the import first: regatta, boats are unlisted or gone" in action for action in found.actions)
    assert any("with send" in action for action in found.actions)


def test_a_kind_that_has_vanished_and_a_pace_that_fell_are_told():
    then = activity_of({"open": 800, "sign": 200}, people=500)
    now = activity_of({"open": 150}, people=500)
    known = {"kind": frozenset(("open", "sign"))}
    (kinds,) = activity_lines(then, now, alone(then), known, CONFIG)
    assert (dict(kinds.vanished), dict(kinds.new), kinds.verdict) == ({"sign": 0.2}, {}, "drifted")
    some = activity_of({"open": 950, "sign": 50}, people=500)
    (rare,) = activity_lines(some, activity_of({"open": 1_000}, people=500), alone(some), known, CONFIG)
    assert (set(rare.vanished), rare.verdict) == ({"sign"}, "watch")
    pace = pace_line(then, now, alone(then), CONFIG)
    assert (pace.verdict, round(pace.factor, 2)) == ("drifted", 0.15)
    few = activity_of({"open": 3}, people=10)
    assert pace_line(few, activity_of({"open": 0}, people=10), alone(few), CONFIG).verdict == "stable"
    assert activity_lines(few, activity_of({}, people=10), alone(few), known, CONFIG)[0].verdict == "stable"


def alone(activity):
    """Return what is usual where there was no earlier time."""
    return UsualActivity.of(activity, [])


def test_what_moved_as_far_before_is_no_news():
    random = np.random.default_rng(0)
    then, moved = random.normal(size=(2, 5_000))
    bins = Bins.of(then)
    counts = count(moved + 1, bins.edges)
    for usual, verdict in ((Usual(0.5, 0.0, 0.0), "drifted"), (Usual(2.0, 0.0, 0.0), "stable")):
        (line,) = feature_lines({"tenure": bins}, {"tenure": usual}, [counts], {}, people=5_000, config=CONFIG)
        assert 0.5 < line.divergence.excess < 2.0
        assert line.verdict == verdict
    calm, busy, busier = (activity_of({"open": opens, "sign": 500}, people=500) for opens in (1_000, 6_000, 40_000))
    known = {"kind": frozenset(("open", "sign"))}
    for before, verdict in ((alone(calm), "drifted"), (UsualActivity.of(calm, [busy]), "stable")):
        assert pace_line(calm, busy, before, CONFIG).verdict == verdict
        assert activity_lines(calm, busy, before, known, CONFIG)[0].verdict == verdict
    assert pace_line(calm, busier, UsualActivity.of(calm, [busy]), CONFIG).verdict == "drifted"
    spring = UsualActivity.of(calm, [activity_of({"open": 1_000, "march": 500}, people=500)])
    (line,) = activity_lines(calm, activity_of({"open": 1_000, "march": 500}, people=500), spring, {"kind": frozenset(("open", "sign", "march"))}, CONFIG)
    assert (line.new, line.vanished) == ({}, {}), "both come and go with the season"


def activity_of(kinds, *, people):
    """Return an activity in which everyone has one interaction at most."""
    total = sum(kinds.values())
    shares = {dimension: {} for dimension in DIMENSIONS} | {"kind": {kind: number / total for kind, number in kinds.items() if number}}
    return Activity("2026-11-01T00:00:00+00:00", 30, people, total, float(total), "2026-10-31T00:00:00+00:00", shares)


def test_a_rate_that_moves_for_everyone_is_a_level_and_no_other_distribution():
    random = np.random.default_rng(0)
    drawn = random.gamma(400.0, 1 / 400, (2, 4_000))
    bins = Bins.of(0.06 * drawn[0], around=True)
    for factor, verdict in ((1.02, "stable"), (1.6, "watch"), (0.3, "drifted")):
        values = 0.06 * factor * drawn[1]
        counts = [count(values, bins.edges_at(centre(values)))]
        (line,) = feature_lines({"rate": bins}, {}, counts, {"rate": centre(values)}, people=4_000, config=CONFIG)
        assert line.level == pytest.approx(factor, rel=0.01)
        assert line.verdict == verdict
        assert line.divergence.excess < 0.05
    (usual,) = feature_lines({"rate": bins}, {"rate": Usual(0.0, 0.0, np.log(3))}, counts, {"rate": centre(values)}, people=4_000, config=CONFIG)
    assert usual.verdict == "stable"
    wide = 0.06 * random.gamma(4.0, 1 / 4, 4_000)
    (line,) = feature_lines({"rate": bins}, {}, [count(wide, bins.edges_at(centre(wide)))], {"rate": centre(wide)}, people=4_000, config=CONFIG)
    assert line.verdict == "drifted", "people became less alike"


def test_a_level_that_moved_is_counted_from_where_it_is_now_and_said(campaign, made):
    random = np.random.default_rng(0)
    then, now = random.gamma(20.0, 1 / 20, (2, 3_000)).astype(np.float32)
    matrix = (0.06 * 1.2 * now)[:, None]
    reference = dataclasses.replace(made[2], people=3_000, features={"rate|of=old": Bins.of(0.06 * then, around=True)}, usual={})
    (line,) = _features(
        reference, SimpleNamespace(matrix=matrix), {"rate|of=old": 0}, matrix[:2_000], counted=np.ones(3_000, dtype=bool), config=CONFIG, progress=None
    )
    assert line.level == pytest.approx(1.2, rel=0.03)
    assert (line.verdict, line.beyond < 0.02) == ("stable", True)
    assert re.fullmatch(
        r"people such as “rate\|of=old about 0\.0\d+”: \d+% then, \d+% now; everyone's level \+\d+%", feature_words(line, campaign.vocabulary, "en")
    )


def population(random, people):
    """Draw people with correlated features, scores of three topics, labels that these are right about, and what they did."""
    taste = random.normal(size=(people, 1))
    latent = 0.6 * taste + 0.8 * random.normal(size=(people, 20))
    features = np.where(latent > 0.5, np.exp(latent), 0.0).astype(np.float32)
    features[:, ::3] = latent[:, ::3]
    features[:, 1][random.random(people) < 0.4] = np.nan
    p = special.expit(-2 + 0.5 * taste + 0.5 * random.normal(size=(people, 3)))
    return features, p, (random.random(p.shape) < p).astype(float), random.poisson(random.gamma(0.5, 2.0, (people, 3)))


def did(counts):
    """Return the activity of people (n,) who did so much of each kind (n, kinds)."""
    each, total = counts.sum(axis=1), int(counts.sum())
    shares = {kind: float(number) / total for kind, number in zip("abc", counts.sum(axis=0), strict=True) if number}
    return Activity("2026-11-01T00:00:00+00:00", 30, len(counts), total, total**2 / float((each**2).sum()), None, {"kind": shares})


def verdicts(then, now, config=CONFIG):
    (X, p, y, counts), (X_now, p_now, y_now, counts_now) = then, now
    topics = ("housing", "climate", "care")
    reference = {f"f{number}": Bins.of(column) for number, column in enumerate(X.T)}
    found = [count(column, bins.edges) for column, bins in zip(X_now.T, reference.values(), strict=True)]
    features = feature_lines(reference, {}, found, {}, people=len(X), config=config)
    scored = {topic: Bins.of(column) for topic, column in zip(topics, p.T, strict=True)}
    counted = {topic: count(column, scored[topic].edges) for topic, column in zip(topics, p_now.T, strict=True)}
    scores = score_lines(scored, counted, dict(zip(topics, p_now.mean(axis=0), strict=True)), len(p), config)
    boot = PersonBootstrap(np.arange(len(p_now)), draws=100, seed=0, coverage=0.95)
    calibration = calibration_lines(boot, topics, y_now, p_now, then=rates(topics, p, y), config=config)
    done = did(counts), did(counts_now), alone(did(counts))
    kinds = activity_lines(*done, {"kind": frozenset("abc")}, config)
    return {
        "features": worst((features_verdict(features, config), *(line.verdict for line in features))),
        "scores": worst(line.verdict for line in scores),
        "activity": worst((pace_line(*done, config).verdict, *(line.verdict for line in kinds))),
        "calibration": worst(line.verdict for line in calibration),
    }


@pytest.mark.parametrize("people", [80, 400])
def test_two_halves_of_one_population_raise_no_alarm(people):
    """Not one line of one part, in at least 95 of 100 splits."""
    stable = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        drawn = population(random, people)
        half = random.permutation(people) < people // 2
        stable += worst(verdicts([each[half] for each in drawn], [each[~half] for each in drawn]).values()) == "stable"
    assert stable >= 95


def test_another_population_does_raise_one():
    random = np.random.default_rng(0)
    then, now = population(random, 3_000), population(random, 3_000)
    assert set(verdicts(then, now).values()) == {"stable"}
    X, p, y, counts = now
    assert verdicts(then, (1.5 * X + 0.5, p, y, counts))["features"] == "drifted"
    assert verdicts(then, (X, special.expit(special.logit(p) + 0.8), y, counts))["scores"] == "drifted"
    assert verdicts(then, (X, p, y, counts * [1, 6, 1]))["activity"] == "drifted"


@pytest.mark.parametrize(("offset", "slope", "by"), [(-1.0, 1.0, "offset"), (0.8, 1.0, "offset"), (-0.8, 0.4, "slope")])
def test_labels_that_predictions_do_not_meet_are_drift(offset, slope, by):
    random = np.random.default_rng(1)
    _, p, _, _ = population(random, 4_000)
    p = special.expit(2 * special.logit(p) + 2)
    y = (random.random(p.shape) < special.expit(offset + slope * special.logit(p))).astype(float)
    everything, *topics = calibration_lines(PersonBootstrap(np.arange(4_000), draws=100, seed=0, coverage=0.95), ["a", "b", "c"], y, p, then={}, config=CONFIG)
    assert everything.by[by] == everything.verdict == "drifted"
    assert {line.verdict for line in topics} == {"drifted"}
    if slope == 1.0:
        assert everything.found.offset.value == pytest.approx(offset, abs=0.1)


def test_topics_with_few_labels_are_not_judged():
    y = np.full((40, 2), np.nan)
    y[:19, 0], y[:, 1] = 1.0, 0.0
    boot = PersonBootstrap(np.arange(40), draws=100, seed=0, coverage=0.95)
    assert [line.topic for line in calibration_lines(boot, ["a", "b"], y, np.full((40, 2), 0.2), then={}, config=CONFIG)] == [None, "b"]
    assert calibration_lines(boot, ["a"], y[:, :1], np.full((40, 1), 0.2), then={}, config=CONFIG) == ()


def test_the_report_is_json_and_text_and_nobody_is_in_it(report):
    state = json.loads(report.to_json())
    assert state["verdict"] == report.verdict
    assert set(state["verdicts"]) == {"features", "scores", "activity", "calibration"}
    assert len(state["features"]) == len(report.features)
    assert all(line["words"].startswith("people such as") for line in state["features"])
    assert state["levels"]["psi"] == [0.1, 0.25]
    text = str(report)
    assert len(re.findall(r"^ +\d+\. ", text, re.MULTILINE)) == 10
    for part in ("features:", "scores:", "what was done and sent:", "calibration:", "what to do"):
        assert f"\n{part}" in text
    assert "van:" not in text + report.to_json()


def test_a_trained_on_file_of_labels_is_not_judged_by_the_history(copied, made):
    put_in_office(copied, made, reference=dataclasses.replace(made[2], source="labels"))
    found = measure_drift(copied, now=NOW)
    assert found.calibration is None
    assert "calibration" not in found.verdicts
    assert "calibration: not measured: the model learned from a file of labels" in str(found)
    assert "a file of labels" in json.loads(found.to_json())["calibration"]["unmeasured"]


def test_a_history_that_is_too_short_leaves_calibration_out(copied):
    found = measure_drift(copied, now=NOW - timedelta(days=170))
    assert found.calibration is None
    assert "the history begins on" in found.unmeasured
    assert any("`audience vectors` builds those of 2026-05-15" in note for note in found.notes)
    assert not found.late
    late = measure_drift(copied, now=NOW + timedelta(days=20))
    assert re.match(r"look at the import first: the newest interaction is of 2026-1[01]-\d\d, \d\d days before", late.actions[0])
    never = dataclasses.replace(late, activities=(late.activities[0], dataclasses.replace(late.activities[1], last=None)))
    assert "there is no interaction of the 30 days before 2026-11-21" in never.actions[0]


def test_what_cannot_be_compared_says_what_to_do(copied, made):
    with pytest.raises(DriftError, match="an experiment's people"):
        measure_drift(copied, "persuadability.story.letter", now=NOW)
    with pytest.raises(DriftError, match=r"no model '\.\./x' is champion"):
        measure_drift(copied, "../x", now=NOW)
    put_in_office(copied, made, file=False)
    with pytest.raises(NoReferenceError, match="Train again with `audience train affinity`"):
        measure_drift(copied, now=NOW)
    shutil.rmtree(copied.models)
    with pytest.raises(DriftError, match="`audience promote affinity` make affinity one"):
        measure_drift(copied, now=NOW)


def test_other_features_than_the_model_s_are_refused(copied):
    path = copied.root / "audience.toml"
    path.write_text(path.read_text().replace("windows_days = [30, 90]", "windows_days = [30, 60]"))
    with pytest.raises(DriftError, match=r"of the model's \d+ features are not made any more, such as '.*window=90d.*Train again"):
        measure_drift(Workspace.open(copied.root), now=NOW)


def test_the_command_prints_saves_and_ends_well_whatever_the_verdict(office, report, tmp_path, monkeypatch):
    words = ["drift", "-w", str(office.root), "--as-of", NOW.isoformat()]
    monkeypatch.setattr("training.drift.measure_drift", lambda *_, **__: report)
    done = CliRunner().invoke(app, [*words, "--plot", str(tmp_path / "drift.png")])
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{report}\n"
    assert (tmp_path / "drift.png").read_bytes().startswith(b"\x89PNG")
    done = CliRunner().invoke(app, [*words, "--json"])
    assert json.loads(done.stdout) == report.to_state()


@pytest.mark.parametrize("table", [{"psi": [0.25, 0.1]}, {"psi": [0.0, 0.1]}, {"offset": [0.1]}, {"noise": 0}, {"psy": [0.1, 0.2]}])
def test_levels_that_cannot_be_are_refused(table):
    with pytest.raises(ConfigError, match=r"training\.drift"):
        parse_config({"training": {"drift": table}})
    assert parse_config({"training": {"drift": {"psi": [0.2, 0.3]}}}).drift.psi == (0.2, 0.3)


def test_people_held_apart_are_those_whose_labels_are_looked_at(report, made):
    reference = made[2]
    ids = [f"van:{number:04d}" for number in range(360)]
    assert report.calibration.people == held_apart(ids, share=reference.label["test_share"], seed=reference.label["seed"]).sum()
