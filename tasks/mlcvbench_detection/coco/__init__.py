"""COCO: annotations, results, and the scoring of its protocols."""
