"""MovieLens 100K through the command line, as any user would: `python run.py [WORKSPACE]`; results go to README.md and results.json."""

# %% Where the workspace stands: a scratch folder unless one is named. Nothing of the data is copied into the project.
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from models.metrics import Estimate
from training.experiment import found, import_all, run, write_results

HERE = Path(__file__).resolve().parent
workspace = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="movielens-"))

# %% From the raw files to a registered model
run(HERE / "tables.py", workspace)
import_all(workspace)
SEEDS = (0, 1, 2)
ROWS = {"labels": "", "labels_more": ", more moments of the same training people"}
words = (workspace / "audience.toml").read_text(encoding="utf-8")
found_of: dict[str, list[Mapping[str, Estimate]]] = {file: [] for file in ROWS}
for file, runs in found_of.items():
    for seed in SEEDS:
        (workspace / "audience.toml").write_text(words.replace("[training.affinity]\n", f"[training.affinity]\nseed = {seed}\n"), encoding="utf-8")
        run("-m", "audience", "train", "affinity", "--labels", workspace / f"{file}.parquet", "--now", "2026-11-22", "--workspace", workspace)
        runs.append(found(workspace, "affinity").metrics)

# %% What was found on the people that the model never saw, beside the figures of the data's README
EARLIER = {
    "popularity prior": (0.833, 0.772, 0.500),
    "share of own history": (0.815, 0.741, None),
    "one LightGBM per topic": (0.850, 0.780, 0.664),
    "one pooled LightGBM, topic as a feature": (0.854, 0.794, None),
    "pooled + whole history vector": (0.858, 0.798, 0.679),
    "bag of five pooled models, last 3, 10 and 20 items": ("0.860", "0.800 to 0.803", "0.682 to 0.685"),
}


def told(metrics: Mapping[str, Estimate], prefix: str = "") -> tuple[str, ...]:
    """Return micro AUC, NDCG@5 and macro AUC with their intervals over people."""
    estimates = (metrics[prefix + name] for name in ("auc_micro", "ndcg_5", "auc_macro"))
    return tuple(f"{one.value:.4f} [{one.low:.3f}, {one.high:.3f}]" for one in estimates)


def mean_of(runs: list[Mapping[str, Estimate]], name: str) -> str:
    """Return a measure's mean over the seeds."""
    return f"{np.mean([one[name].value for one in runs]):.4f}"


rows = {f"{name} (earlier figures)": tuple("" if value is None else str(value) for value in values) for name, values in EARLIER.items()}
for file, runs in found_of.items():
    rows |= {f"TopicAffinity{ROWS[file]}, seed {seed}": told(metrics) for seed, metrics in zip(SEEDS, runs, strict=True)}
    rows |= {f"**TopicAffinity{ROWS[file]}, mean of the seeds**": tuple(mean_of(runs, name) for name in ("auc_micro", "ndcg_5", "auc_macro"))}
rows |= {"TopicAffinity, features of the release before, seed 0": ("0.8595 [0.851, 0.868]", "0.7981 [0.784, 0.812]", "0.6908 [0.668, 0.713]")}
protocol, more = found_of["labels"], found_of["labels_more"]
rows |= {"rule: popularity prior": told(protocol[0], "prior."), "rule: share of own history, by topic": told(protocol[0], "share.")}
table = [{"": name, "micro AUC": auc, "NDCG@5": ndcg, "macro AUC": macro} for name, (auc, ndcg, macro) in rows.items()]
before = {"log_loss": "0.3816", "ece": "0.0094"}
other = [
    {
        "measure": name,
        "mean of the seeds": mean_of(protocol, name),
        "more moments, mean of the seeds": mean_of(more, name),
        "features of the release before, seed 0": before[name],
    }
    for name in ("log_loss", "ece")
]
write_results(HERE, {f"Test people: {protocol[0]['auc_micro'].coverage:.0%} intervals by a bootstrap over people": table, "Calibration": other})
