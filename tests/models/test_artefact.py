"""A stored model predicts the same bits; whatever was changed on disk is refused before LightGBM sees it."""

import hashlib
import json
import signal
from functools import cache

import numpy as np
import pandas as pd
import pytest

from models import artefact
from models.affinity import TopicAffinity
from models.artefact import ArtefactError
from models.persuadability import Persuadability

KEY = b"0123456789abcdef" * 2
TOPICS = ("housing", "climate")
COLUMNS = [f"count|kind=any-engagement|channel=any|topic={topic}|window=all" for topic in TOPICS] + ["age|since=birth_year"]


@cache
def _people():
    generator = np.random.default_rng(0)
    X = pd.DataFrame(generator.normal(size=(600, 3)).astype(np.float32), columns=COLUMNS)
    X.iloc[::5, 2] = np.nan
    y = (generator.random((600, 2)) < 1 / (1 + np.exp(1 - X.to_numpy()[:, :2]))).astype(float)
    return X, pd.DataFrame(y, columns=list(TOPICS))


@cache
def _affinity():
    return TopicAffinity(num_trees=8, min_child_samples=20, n_jobs=1).fit(*_people())


@cache
def _persuadability():
    X, y = _people()
    treatment = np.random.default_rng(1).integers(0, 2, 600)
    small = {"n_folds": 3, "nuisance_trees": 5, "num_trees": 5, "n_jobs": 1}
    return Persuadability(**small).fit(X, y["housing"].to_numpy(), treatment=treatment, propensity=np.full(600, 0.5))


@pytest.fixture
def folder(tmp_path):
    return artefact.save(_affinity(), tmp_path / "model", metadata={"name": "affinity", "as_of": "2026-01-01"}, files={"card.md": b"# card\n"})


def test_affinity_predicts_the_same_bits_after_loading(folder):
    X, _ = _people()
    loaded = artefact.load(folder)
    assert loaded.get_params() == _affinity().get_params() | {"topics": list(TOPICS)}
    np.testing.assert_array_equal(loaded.predict_margin(X), _affinity().predict_margin(X))
    np.testing.assert_array_equal(loaded.predict_interval(X), _affinity().predict_interval(X))
    for topic in TOPICS:
        np.testing.assert_array_equal(loaded.contributions(X, topic).values, _affinity().contributions(X, topic).values)
        np.testing.assert_array_equal(loaded.contributions(X, topic).base, _affinity().contributions(X, topic).base)


def test_persuadability_predicts_the_same_bits_after_loading(tmp_path):
    X, _ = _people()
    loaded = artefact.load(artefact.save(_persuadability(), tmp_path / "model", metadata={}))
    np.testing.assert_array_equal(loaded.predict_uplift(X), _persuadability().predict_uplift(X))
    np.testing.assert_array_equal(loaded.predict_interval(X), _persuadability().predict_interval(X))
    np.testing.assert_array_equal(loaded.contributions(X).values, _persuadability().contributions(X).values)


def test_a_loaded_model_is_stored_as_the_same_bytes(folder, tmp_path):
    again = artefact.save(artefact.load(folder), tmp_path / "again", metadata=artefact.check(folder).metadata, files={"card.md": b"# card\n"})
    for name in ("model.txt", "model.json", "manifest.json"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()
    assert artefact.digest(again) == artefact.digest(folder)


def test_the_manifest_tells_what_it_is_made_of(folder):
    checked = artefact.check(folder)
    assert checked.metadata == {"name": "affinity", "as_of": "2026-01-01"}
    assert set(checked.manifest["files"]) == {"model.txt", "model.json", "card.md"}
    assert artefact.digest(folder) == hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()


def test_nothing_is_overwritten_and_nothing_half_written_stays(folder, tmp_path):
    with pytest.raises(ArtefactError, match="never overwritten"):
        artefact.save(_affinity(), folder, metadata={})
    with pytest.raises(ArtefactError, match="not allowed as the name"):
        artefact.save(_affinity(), tmp_path / "other", metadata={}, files={"../evil": b""})
    with pytest.raises(ArtefactError, match="finite numbers"):
        artefact.save(_affinity(), tmp_path / "other", metadata={"x": float("nan")})
    with pytest.raises(ArtefactError, match="cannot be stored"):
        artefact.save(object(), tmp_path / "other", metadata={})
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "model").mkdir()
    artefact.check(artefact.save(_affinity(), tmp_path / "model", metadata={}))


@pytest.mark.parametrize("name", ["model.txt", "model.json", "card.md"])
def test_one_changed_byte_is_refused(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ArtefactError, match=f"{name}: its SHA-256"):
        artefact.load(folder)


def _rewrite(folder, name, change):
    """Change a file and its digest in the manifest: what someone without the key could do."""
    content = change((folder / name).read_text()).encode()
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = hashlib.sha256(content).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _state(change):
    def rewritten(text):
        document = json.loads(text)
        change(document)
        return json.dumps(document)

    return rewritten


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("model.txt", lambda text: text.replace("left_child=1 ", "left_child=0 ", 1), "model.txt: tree"),
        ("model.txt", lambda text: text.replace("version=v4", "version=v9"), "expected version=v4"),
        ("model.json", lambda _: "[]", "one JSON object"),
        ("model.json", lambda _: "{", "is not JSON"),
        ("model.json", lambda _: '{"estimator": NaN}', "NaN is not JSON"),
        ("model.json", lambda _: "[" * 100_000, "is not JSON"),
        ("model.json", _state(lambda document: document.update(estimator="os.system")), "must name an estimator"),
        ("model.json", _state(lambda document: document["state"].pop("prior")), "KeyError"),
        ("model.json", _state(lambda document: document["state"]["parameters"].update(pickle="x")), "TypeError"),
        ("model.json", _state(lambda document: document["state"]["parameters"].update(n_jobs=10**6)), "n_jobs must lie"),
        ("model.json", _state(lambda document: document["state"]["layout"]["general"].append(99)), "outside"),
        ("model.json", _state(lambda document: document["state"]["layout"]["names"].reverse()), "another order"),
        ("model.json", _state(lambda document: document["state"]["calibration"].update(slope=[1.0, -1.0])), "positive slope"),
        ("model.json", _state(lambda document: document["state"]["prior"].append(0.5)), "differ in number"),
        ("model.json", _state(lambda document: document["state"].update(layout=None)), "TypeError"),
    ],
)
def test_a_changed_file_with_a_fitting_digest_is_refused_by_its_structure(folder, name, change, words):
    _rewrite(folder, name, change)
    with pytest.raises(ArtefactError, match=words):
        artefact.load(folder)


def test_a_file_that_is_missing_a_link_too_large_or_unlisted_is_refused(folder, monkeypatch):
    (folder / "code.py").write_text("print('no')")
    with pytest.raises(ArtefactError, match=r"does not list: code\.py"):
        artefact.check(folder)
    (folder / "code.py").unlink()
    monkeypatch.setitem(artefact.MOST_BYTES, "model.txt", 10)
    with pytest.raises(ArtefactError, match="at most 10"):
        artefact.check(folder)
    monkeypatch.undo()
    (folder / "card.md").rename(folder.parent / "card.md")
    with pytest.raises(ArtefactError, match=r"card\.md is missing"):
        artefact.check(folder)
    (folder / "card.md").symlink_to(folder.parent / "card.md")
    with pytest.raises(ArtefactError, match="no link"):
        artefact.check(folder)


@pytest.mark.parametrize(
    "manifest", ["{}", '{"format": "other", "files": {}, "metadata": {}}', '{"format": "audience-scoring model 1", "files": {}, "metadata": {}}']
)
def test_a_manifest_of_another_kind_is_refused(folder, manifest):
    (folder / "manifest.json").write_text(manifest)
    with pytest.raises(ArtefactError, match=r"manifest\.json: it must"):
        artefact.check(folder)


def test_no_folder_is_refused(tmp_path):
    with pytest.raises(ArtefactError, match=r"manifest\.json is missing"):
        artefact.load(tmp_path / "nowhere")


def test_a_signature_is_verified_under_its_key_only(folder):
    artefact.sign(folder, KEY)
    assert artefact.verify(folder, KEY) == artefact.digest(folder)
    artefact.check(folder)
    with pytest.raises(ArtefactError, match="not this workspace's"):
        artefact.verify(folder, KEY[::-1])
    _rewrite(folder, "card.md", lambda text: text + "better")
    artefact.check(folder)
    with pytest.raises(ArtefactError, match="not this workspace's"):
        artefact.verify(folder, KEY)


def test_no_signature_and_no_key_are_refused(folder):
    with pytest.raises(ArtefactError, match="signature is missing"):
        artefact.verify(folder, KEY)
    with pytest.raises(ArtefactError, match="at least 16 bytes"):
        artefact.sign(folder, b"short")


def test_a_sound_model_passes_its_trial(folder):
    artefact.try_in_process(folder)


def test_a_model_that_is_none_fails_its_trial_with_the_reason(folder):
    (folder / "model.txt").write_text("tree\n")
    with pytest.raises(ArtefactError, match=r"trial prediction failed.*SHA-256"):
        artefact.try_in_process(folder)


@pytest.mark.parametrize(
    ("script", "words"),
    [(f"#!/bin/sh\nkill -{int(signal.SIGSEGV)} $$\n", "crashed its process \\(signal 11\\)"), ("#!/bin/sh\nsleep 30\n", "did not end within 0.2 seconds")],
)
def test_a_crash_or_a_hang_of_the_trial_is_an_error_here(folder, tmp_path, monkeypatch, script, words):
    python = tmp_path / "python"
    python.write_text(script)
    python.chmod(0o700)
    monkeypatch.setattr(artefact.sys, "executable", str(python))
    with pytest.raises(ArtefactError, match=words):
        artefact.try_in_process(folder, timeout=0.2 if "sleep" in script else 30)


def test_a_trial_sees_no_secret_of_the_environment(folder, tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\n[ -z "$AUDIENCE_SECRET" ] || exit 3\n')
    python.chmod(0o700)
    monkeypatch.setenv("AUDIENCE_SECRET", "x")
    monkeypatch.setattr(artefact.sys, "executable", str(python))
    artefact.try_in_process(folder)


def test_exercise_covers_both_estimators_and_refuses_what_is_not_finite(monkeypatch):
    artefact.exercise(_affinity())
    artefact.exercise(_persuadability())
    broken = Persuadability.from_state(_persuadability().to_state(), _persuadability().booster_)
    broken.mean_ = float("nan")
    with pytest.raises(ArtefactError, match="not a finite number"):
        artefact.exercise(broken)
