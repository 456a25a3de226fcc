"""The social pressure experiment through the command line, as any user would: `python run.py [FOLDER]`; results go to README.md and results.json.

It runs twice: as it was, and with the arms dealt anew among the people, when nothing is left to find.
"""

# %% Where the workspaces stand: a scratch folder unless one is named. Nothing of the data is copied into the project.
import sys
import tempfile
from pathlib import Path

from training.experiment import found, import_all, run, write_results

HERE = Path(__file__).resolve().parent
folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="social-pressure-"))
ARMS = ("neighbors", "self", "hawthorne", "civic_duty")
# Earlier figures of the data's README: average effect; AUTOC (standard error) and slope of a DR-learner.
EARLIER = {"neighbors": ("0.0805", "0.0198 (0.0029)", "0.83"), "self": ("0.0477", "0.0112 (0.0029)", "0.65")}
EARLIER |= {"hawthorne": ("0.0250", "-0.0017 (0.0027)", "-0.03"), "civic_duty": ("0.0183", "0.0014 (0.0030)", "0.13")}


# %% From the raw file to four registered models, each asked through its gate
def train(workspace: Path, *options: str) -> dict[str, bool]:
    """Train and promote; return whether each arm's model was accepted."""
    run(HERE / "tables.py", workspace, *options)
    import_all(workspace)
    run("-m", "audience", "train", "persuadability", "social_pressure", "--now", "2026-11-22", "--workspace", workspace)
    return {arm: run("-m", "audience", "promote", f"persuadability.social_pressure.{arm}", "--workspace", workspace, may_fail=True) for arm in ARMS}


def row(workspace: Path, arm: str, *, accepted: bool, earlier: bool) -> dict[str, object]:
    """Return one line of the table; standard errors are clustered on the blocks of the design."""
    metrics = found(workspace, f"persuadability.social_pressure.{arm}").metrics
    said = dict(zip(("ATE, earlier", "AUTOC (se), earlier", "slope, earlier"), EARLIER[arm], strict=True)) if earlier else {}
    autoc = {name: metrics[name] for name in ("autoc", "autoc_risk")}
    return {
        "arm against control": arm,
        "ATE (se)": f"{metrics['ate'].value:.4f} ({metrics['ate'].se:.4f})",
        "AUTOC (se)": f"{autoc['autoc'].value:.4f} ({autoc['autoc'].se:.4f})",
        "z": f"{autoc['autoc'].value / autoc['autoc'].se:.1f}",
        "z of the risk ranking": f"{autoc['autoc_risk'].value / autoc['autoc_risk'].se:.1f}",
        "slope (se)": f"{metrics['slope'].value:.2f} ({metrics['slope'].se:.2f})",
        "gate": "accepted" if accepted else "refused",
        **said,
    }


# %% As it was, and dealt anew
accepted = train(folder / "real")
shuffled = train(folder / "shuffled", "--shuffle", "0")

# %% The tables
real = [row(folder / "real", arm, accepted=accepted[arm], earlier=True) for arm in ARMS]
dealt = [row(folder / "shuffled", arm, accepted=shuffled[arm], earlier=False) for arm in ARMS]
write_results(HERE, {"As it was": real, "Arms dealt anew (seed 0)": dealt})
