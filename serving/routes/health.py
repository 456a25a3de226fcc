"""Whether the server lives, whether it can score, and how it does."""

from __future__ import annotations

import os

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from serving.problems import Problem
from serving.schemas import Health, ProblemDocument
from serving.server import server_of

router = APIRouter(tags=["health"])


@router.get("/livez")
def livez() -> Health:
    """Say that the process lives; no key is needed."""
    return Health("alive", [])


@router.get("/readyz", responses={503: {"model": ProblemDocument, "description": "not ready, with the reasons"}})
def readyz(request: Request) -> Health:
    """Say whether vectors and a model are loaded, or why not; no key is needed."""
    loaded = server_of(request).reloader.current
    if not loaded.ready:
        raise Problem("not_ready", "Vectors and at least one model are needed.", reasons=list(loaded.faults))
    return Health("ready", list(loaded.faults))


@router.get("/metrics", response_class=Response)
def metrics() -> Response:
    """Return the counts and times of requests for Prometheus; labels are routes, never addresses."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
