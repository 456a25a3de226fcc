"""Estimators and explanations: arrays and frames in, arrays and frames out."""
