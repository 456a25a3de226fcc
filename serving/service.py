"""The BentoML service: our FastAPI application, mounted at `/`."""

import os

os.environ["BENTOML_DO_NOT_TRACK"] = "True"  # before bentoml is imported: nothing leaves the machine

import bentoml

from serving.app import create_app
from serving.front import Front
from serving.observing import show_log
from serving.server import Server
from serving.settings import Settings

show_log()
settings = Settings.from_environment(os.environ)
app = create_app(settings)


@bentoml.asgi_app(app, path="/")
@bentoml.service(name="audience_scores", workers=1, http={"host": "127.0.0.1"}, metrics={"enabled": False}, logging={"access": {"enabled": False}})
class AudienceScores:
    """Scores over HTTP; see `serving/app.py`."""

    @bentoml.on_deployment
    @staticmethod
    def check_workspace() -> None:
        """Open the workspace once before any worker starts, so that a wrong folder or store fails with one clear message."""
        Server.open(settings).store.close()


AudienceScores.add_asgi_middleware(Front, ours=app)  # type: ignore[attr-defined]  # the decorator makes a bentoml Service of the class
