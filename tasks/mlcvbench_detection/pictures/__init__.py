"""Pictures of detections: plots of a run and contact sheets of a data set."""
