"""Estimators and explanations: arrays and frames in, arrays and frames out."""

import os

# LightGBM's threads meet at a barrier for every split. Spinning there as long as OpenMP does by itself makes a fit up to ten times slower on a machine
# that does anything else as well; going to sleep at once makes it eight times slower where waking up is dear. A thousand turns, some microseconds,
# cost little in both: 1.1 s alone and 2.9 s beside two busy processes, against .9 s and 9.6 s, or 8.8 s and 4.9 s. Read when OpenMP is loaded.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
