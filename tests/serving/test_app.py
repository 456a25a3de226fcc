import json

from serving.problems import CODES
from tests.conftest import ROOT


def test_openapi_is_whole(served):
    document = served.client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {
        "/v1/scores",
        "/v1/aggregates",
        "/v1/permissions",
        "/v1/people/consents",
        "/v1/people/objections",
        "/v1/people/access",
        "/v1/people/erasures",
        "/v1/register",
        "/v1/notices/{campaign_id}",
        "/v1/models",
        "/livez",
        "/readyz",
        "/metrics",
    }
    schemas = document["components"]["schemas"]
    for name in ("ScoreRequest", "PermissionRequest", "ConsentsRequest", "ObjectionRequest", "AccessRequest", "ErasuresRequest"):
        assert schemas[name]["examples"]
    text = json.dumps(document)
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in schemas
    assert set(document["paths"]["/v1/scores"]["post"]["responses"]) == {"200", "401", "403", "413", "415", "422", "451", "503"}
    assert document["paths"]["/v1/scores"]["post"]["security"]
    assert set(document["paths"]["/v1/people/access"]["post"]["responses"]["200"]["content"]) == {"application/json", "text/html", "application/pdf"}
    assert served.client.get("/docs").status_code == 404


def test_models(served):
    answer = served.client.get("/v1/models", headers=served.headers)
    affinity, story = answer.json()["models"]
    assert (affinity["name"], affinity["version"], affinity["as_of"], affinity["metrics"]) == (
        "affinity",
        "1",
        "2026-10-01T00:00:00+00:00",
        {"log_loss": {"value": 0.31}},
    )
    assert affinity["promoted_at"] == "2026-10-02T08:00:00+00:00"
    assert affinity["card"].startswith("# Card")
    assert set(affinity["scores"]) == {"affinity:housing", "affinity:transport", "affinity:schools"}
    bands = affinity["scores"]["affinity:housing"]
    assert 0 < bands["low_below"] <= bands["high_from"] < 1
    assert "top 20 %" in bands["rule"]
    assert list(story["scores"]) == ["persuadability:rent:story"]
    assert [(refused["name"], refused["code"]) for refused in answer.json()["refused"]] == [("persuadability.rent.figures", "ranking_refused")]


def test_nothing_is_cached(served):
    assert served.ask().headers["Cache-Control"] == "no-store"
    assert served.client.get("/v1/models").headers["Cache-Control"] == "no-store"


def test_every_code_is_documented():
    words = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    codes = [*CODES, "unknown_person", "erased", "unknown_score", "no_model", "ranking_refused", "message_lowers", "vectors_mismatch", "no_base"]
    assert [code for code in codes if f"`{code}`" not in words] == []
