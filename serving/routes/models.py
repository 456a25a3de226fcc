"""`GET /v1/models`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from features.catalogue import special_attributes
from serving.access import require
from serving.audit import Answer
from serving.champion import Champion
from serving.keys import Key
from serving.loaded import Loaded
from serving.refusal import refusal_code
from serving.schemas import MODELS_ANSWER, ModelsAnswer, ModelSummary, ProblemDocument, RefusedModel
from serving.server import new_answer_id, now, server_of

router = APIRouter(prefix="/v1", tags=["models"])


@router.get(
    "/models",
    response_class=Response,
    responses={
        200: {"model": ModelsAnswer, "description": "the champions and the refused models"},
        401: {"model": ProblemDocument, "description": "no key, or one that does not stand"},
    },
)
def get_models(request: Request, key: Annotated[Key, Depends(require("scores", "audit"))]) -> Response:
    """List the models that score now, with their metrics, bands, cards and the choice among messages, and those that the gate refused."""
    server = server_of(request)
    server.record(Answer(new_answer_id(), now(), "api", "GET /v1/models", 200, key.key_id))
    return Response(MODELS_ANSWER.dump_json(models_answer(server.reloader.current)), media_type="application/json")


def models_answer(loaded: Loaded) -> ModelsAnswer:
    """Return what is loaded, as it goes over the wire."""
    models = [summary(loaded, champion) for champion in loaded.champions.values()]
    refused = [RefusedModel(name, refusal_code(each.average), each.average, each.messages) for name, each in loaded.refusals.items()]
    return ModelsAnswer(models, refused)


def summary(loaded: Loaded, champion: Champion) -> ModelSummary:
    """Return one champion with the bands of its scores."""
    bands = {score.name: loaded.bands[score.name] for score in loaded.scores.values() if champion.answers(score) and score.name in loaded.bands}
    metadata = champion.metadata
    metrics = champion.evaluation.get("metrics", {})
    return ModelSummary(
        champion.name,
        champion.version,
        champion.digest,
        champion.promoted_at,
        _text(metadata.get("as_of")),
        _text(metadata.get("trained")),
        bands,
        metrics,
        champion.card,
        champion.messages,
        special_attributes(champion.columns, loaded.vocabulary),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
