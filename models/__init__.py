"""Estimators and explanations: arrays and frames in, arrays and frames out."""

import os

# LightGBM's threads meet at a barrier for every split and by default spin there. On a machine that does anything else as well, that made the
# same fit ten times slower (26 s against 2.6 s with two busy cores); asleep, they cost next to nothing. Read when OpenMP is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
