"""MovieLens 100K through the command line, as any user would: `python run.py [WORKSPACE]`; results go to README.md and results.json."""

# %% Where the workspace stands: a scratch folder unless one is named. Nothing of the data is copied into the project.
import sys
import tempfile
from pathlib import Path

from training.experiment import found, import_all, run, write_results

HERE = Path(__file__).resolve().parent
workspace = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="movielens-"))

# %% From the raw files to a registered model
run(HERE / "tables.py", workspace)
import_all(workspace)
run("-m", "audience", "train", "affinity", "--labels", workspace / "labels.parquet", "--now", "2026-11-22", "--workspace", workspace)

# %% What was found on the people that the model never saw, beside the figures of the data's README
EARLIER = {
    "popularity prior": (0.833, 0.772, 0.500),
    "share of own history": (0.815, 0.741, None),
    "one LightGBM per topic": (0.850, 0.780, 0.664),
    "one pooled LightGBM, topic as a feature": (0.854, 0.794, None),
    "pooled + whole history vector": (0.858, 0.798, 0.679),
    "bag of five pooled models, last 3, 10 and 20 items": ("0.860", "0.800 to 0.803", "0.682 to 0.685"),
}
metrics = found(workspace, "affinity").metrics


def ours(prefix: str) -> tuple[str, ...]:
    """Return micro AUC, NDCG@5 and macro AUC with their intervals over people."""
    estimates = (metrics[prefix + name] for name in ("auc_micro", "ndcg_5", "auc_macro"))
    return tuple(f"{one.value:.4f} [{one.low:.3f}, {one.high:.3f}]" for one in estimates)


rows = {f"{name} (earlier figures)": tuple("" if value is None else str(value) for value in values) for name, values in EARLIER.items()}
rows |= {"**TopicAffinity**": ours(""), "rule: popularity prior": ours("prior."), "rule: share of own history, by topic": ours("share.")}
table = [{"": name, "micro AUC": auc, "NDCG@5": ndcg, "macro AUC": macro} for name, (auc, ndcg, macro) in rows.items()]
other = [{"measure": name, "value": f"{metrics[name].value:.4f}"} for name in ("log_loss", "ece")]
write_results(HERE, {f"Test people: {metrics['auc_micro'].coverage:.0%} intervals by a bootstrap over people": table, "Calibration": other})
