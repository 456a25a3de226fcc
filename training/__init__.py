"""From a workspace to a registered model: snapshots, fits, evaluation, gates."""
