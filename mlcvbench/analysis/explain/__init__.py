"""Why a classifier says what it says: deconvnet projections and occlusion maps of a stored run's model."""
