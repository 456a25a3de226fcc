"""One Polis conversation through the command line, as any user would: `python run.py [WORKSPACE]`; results go to README.md and results.json."""

# %% Where the workspace stands: a scratch folder unless one is named. Nothing of the data is copied into the project.
import sys
import tempfile
from pathlib import Path

from training.experiment import found, import_all, run, write_results

HERE = Path(__file__).resolve().parent
workspace = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="polis-"))

# %% From the raw files to a registered model
run(HERE / "tables.py", workspace)
import_all(workspace)
run("-m", "audience", "train", "affinity", "--labels", workspace / "labels.parquet", "--now", "2026-11-22", "--workspace", workspace)

# %% What was found on the voters that the model never saw, beside what the features of the release before gave on the same rows
BEFORE = {
    "auc_micro": "0.7818 [0.765, 0.798]",
    "ndcg_5": "0.8323 [0.817, 0.847]",
    "auc_macro": "0.6356 [0.591, 0.680]",
    "log_loss": "0.5304 [0.514, 0.547]",
    "ece": "0.0288",
}
NAMES = {"auc_micro": "micro AUC", "ndcg_5": "NDCG@5", "auc_macro": "macro AUC", "log_loss": "log loss", "ece": "ECE"}
metrics = found(workspace, "affinity").metrics


def ours(prefix: str) -> dict[str, str]:
    """Return the measures with their intervals over people, where there are any."""
    estimates = {name: metrics.get(prefix + name) for name in NAMES}
    return {
        name: "" if one is None else f"{one.value:.4f}" if name == "ece" else f"{one.value:.4f} [{one.low:.3f}, {one.high:.3f}]"
        for name, one in estimates.items()
    }


rows = {
    "**TopicAffinity**": ours(""),
    "TopicAffinity, features of the release before": BEFORE,
    "rule: popularity prior": ours("prior."),
    "rule: share of own history, by topic": ours("share."),
}
table = [{"": name, **{NAMES[key]: value for key, value in values.items()}} for name, values in rows.items()]
write_results(HERE, {f"Test voters: {metrics['auc_micro'].coverage:.0%} intervals by a bootstrap over people": table})
