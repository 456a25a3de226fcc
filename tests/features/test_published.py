"""A version is published whole or not at all; a crash at any moment leaves the one before."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from features import published
from features.published import VectorsError, current, manifest, put, verify

ROOT = Path(__file__).resolve().parents[2]


def writer(text):
    def write(folder):
        (folder / "data.bin").write_text(text)
        return {"said": text}

    return write


def test_the_latest_version_is_current_with_sizes_and_digests(tmp_path):
    put(tmp_path, writer("one"))
    second = put(tmp_path, writer("second"))
    folder, said = current(tmp_path)
    assert folder == second
    assert (folder / "data.bin").read_text() == "second"
    assert said["said"] == "second"
    assert said["files"]["data.bin"]["bytes"] == 6
    verify(folder)


def test_a_number_of_older_versions_is_kept(tmp_path):
    for number in range(6):
        put(tmp_path, writer(str(number)), kept=2)
    assert sorted(path.name for path in tmp_path.glob("v*")) == ["v000004", "v000005", "v000006"]
    put(tmp_path, writer("last"), kept=0)
    assert [path.name for path in tmp_path.glob("v*")] == ["v000007"]


def test_no_two_versions_ever_have_one_name(tmp_path):
    """A server knows by the name whether what it has open is still current."""
    for number in range(2):
        put(tmp_path, writer(str(number)))
    published.remove(tmp_path, lambda version: version.name == "v000002")
    assert put(tmp_path, writer("other")).name == "v000003"
    published.remove(tmp_path, lambda _version: True)
    assert put(tmp_path, writer("other")).name == "v000004"
    assert current(tmp_path)[1]["said"] == "other"


@pytest.mark.parametrize("step", ["_digest", "_sync", "_point", "write"])
def test_a_failure_leaves_the_version_before(tmp_path, monkeypatch, step):
    put(tmp_path, writer("before"))

    def fail(*_):
        raise OSError("no space left on device")

    if step != "write":
        monkeypatch.setattr(published, step, fail)
    with pytest.raises(OSError, match="no space"):
        put(tmp_path, fail if step == "write" else writer("after"))
    monkeypatch.undo()
    assert current(tmp_path)[1]["said"] == "before"
    assert not list(tmp_path.glob(".new-*"))
    put(tmp_path, writer("after"))
    assert current(tmp_path)[1]["said"] == "after"


KILLED = """
import os, signal, sys
from pathlib import Path
from features import published

def write(folder):
    (folder / "data.bin").write_text("after")
    return {"said": "after"}

real = getattr(published, sys.argv[2])
def kill(*arguments):
    if sys.argv[3] == "after":
        real(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(published, sys.argv[2], kill)
published.put(Path(sys.argv[1]), write)
"""


@pytest.mark.parametrize(("step", "moment", "left"), [("_digest", "before", "before"), ("_point", "before", "before"), ("_point", "after", "after")])
def test_a_killed_publisher_leaves_a_whole_version(tmp_path, step, moment, left):
    put(tmp_path, writer("before"))
    died = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), step, moment], cwd=ROOT, check=False, env={**os.environ, "PYTHONPATH": "."})
    assert died.returncode == -signal.SIGKILL
    folder, said = current(tmp_path)
    verify(folder)
    assert said["said"] == left
    put(tmp_path, writer("next"))
    assert current(tmp_path)[1]["said"] == "next"
    assert not list(tmp_path.glob(".new-*")), "what the killed one left is swept"


def test_publishers_at_the_same_time_each_get_a_version(tmp_path):
    threads = [threading.Thread(target=put, args=(tmp_path, writer(str(number))), kwargs={"kept": 20}) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(tmp_path.glob("v*"))) == 8
    assert current(tmp_path)[0].name == "v000008"


def test_nothing_published_yet(tmp_path):
    with pytest.raises(VectorsError, match="no vectors are published"):
        current(tmp_path / "vectors")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "data.bin").write_text("longer than before"), "18 bytes where the manifest states 3"),
        (lambda folder: (folder / "data.bin").unlink(), "no file where the manifest states 3"),
        (lambda folder: (folder / "manifest.json").unlink(), r"cannot be read \(FileNotFoundError\)"),
        (lambda folder: (folder / "manifest.json").write_text("{"), r"cannot be read \(JSONDecodeError\)"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), r"cannot be read \(TypeError\)"),
        (lambda folder: (folder / "manifest.json").write_text(json.dumps({"files": {"../CURRENT": {"bytes": 8}}, "format": 2})), "no file"),
        (lambda folder: (folder / "manifest.json").write_text(json.dumps({"files": {}, "format": 99})), "has format 99, this release reads 2"),
        (lambda folder: (folder.parent / "CURRENT").write_text("../../elsewhere"), "does not name a version"),
        (lambda folder: (folder.parent / "CURRENT").write_text("v000099"), "cannot be read"),
    ],
)
def test_damage_is_said_in_clear_words(tmp_path, damage, said):
    damage(put(tmp_path, writer("one")))
    with pytest.raises(VectorsError, match=said):
        current(tmp_path)


def test_changed_bytes_are_found_when_asked(tmp_path):
    folder = put(tmp_path, writer("one"))
    (folder / "data.bin").write_text("two")
    manifest(folder)
    with pytest.raises(VectorsError, match="SHA-256"):
        verify(folder)
