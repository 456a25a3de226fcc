import re

import yaml

from serving.bento import DIRECT, LOCK, SERVER_LOCK, server_part
from tests.conftest import ROOT


def test_the_servers_lock_is_part_of_the_lock():
    """`python -m serving.bento` writes it anew."""
    assert SERVER_LOCK.read_text(encoding="utf-8") == server_part(LOCK.read_text(encoding="utf-8"))


def test_it_holds_what_serves_and_nothing_that_trains():
    names = set(re.findall(r"^([a-z0-9._-]+)==", SERVER_LOCK.read_text(encoding="utf-8"), re.MULTILINE))
    assert DIRECT - names <= {"psycopg"}
    assert names.isdisjoint({"mlflow", "shap", "pytest", "duckdb", "ibis-framework", "deltalake", "matplotlib", "playwright"})


def test_only_what_is_needed_is_kept():
    entries = (
        "a==1 \\\n    --hash=sha256:0\n    # via audience-scoring",
        "b==2 ; python_version < '3.12' \\\n    --hash=sha256:1\n    # via\n    #   a\n    #   z",
        "c==3 \\\n    --hash=sha256:2\n    # via z",
        "z==4 \\\n    --hash=sha256:3\n",
    )
    lock = "\n".join(entries)
    part = server_part(lock, frozenset({"a"}))
    assert part.splitlines()[1:] == ["a==1 \\", "    --hash=sha256:0", "b==2 ; python_version < '3.12' \\", "    --hash=sha256:1"]


def test_the_bento_holds_code_and_no_data():
    document = yaml.safe_load((ROOT / "bentofile.yaml").read_text(encoding="utf-8"))
    assert document["service"] == "serving.service:AudienceScores"
    assert {pattern.split("/")[0] for pattern in document["include"]} == {"serving", "models", "features"}
    for pattern in document["include"]:
        assert list(ROOT.glob(pattern)), pattern
