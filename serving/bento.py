"""What a bento needs to serve: the server's part of `requirements.lock`, so that `bentoml build` locks what was tested here.

`python -m serving.bento` writes `serving/requirements.lock` anew; a test compares the two.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
LOCK = _ROOT / "requirements.lock"
SERVER_LOCK = _ROOT / "serving" / "requirements.lock"
DIRECT = frozenset(
    {
        "alembic",
        "bentoml",
        "cryptography",
        "deltalake",
        "fastapi",
        "fpdf2",
        "httptools",
        "jinja2",
        "lightgbm",
        "markdown-it-py",
        "numpy",
        "pandas",
        "prometheus-client",
        "psycopg",
        "pyarrow",
        "pydantic",
        "scikit-learn",
        "scipy",
        "sqlalchemy",
        "starlette",
        "uvloop",
    }
)
"""Packages that serving, models and features import while a server runs; building vectors and training need more."""
_PACKAGE = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==", re.MULTILINE)
_VIA = re.compile(r"^    #(?: via)? +([A-Za-z0-9][A-Za-z0-9._-]*)", re.MULTILINE)


def server_part(lock: str, direct: frozenset[str] = DIRECT) -> str:
    """Return the entries of a lock (as `uv pip compile` writes it, with its `# via` lines) that `direct` packages need, with their hashes."""
    starts = [*(match.start() for match in _PACKAGE.finditer(lock)), len(lock)]
    entries: dict[str, str] = {}
    for start, end in itertools.pairwise(starts):
        entry = lock[start:end]
        name = _PACKAGE.match(entry)
        assert name is not None
        entries[name[1]] = entries.get(name[1], "") + entry
    wanted = direct & set(entries)
    while True:
        needed = wanted | {name for name, entry in entries.items() if wanted.intersection(_VIA.findall(entry))}
        if needed == wanted:
            break
        wanted = needed
    lines = [line for name in sorted(wanted) for line in entries[name].splitlines() if not line.startswith("    #")]
    return "\n".join(["# The server's part of requirements.lock, made by `python -m serving.bento`.", *lines, ""])


if __name__ == "__main__":
    SERVER_LOCK.write_text(server_part(LOCK.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {SERVER_LOCK.relative_to(_ROOT)}")
