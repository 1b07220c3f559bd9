"""Scores of predictions: of one case, of a folder, of several systems on the same cases."""
