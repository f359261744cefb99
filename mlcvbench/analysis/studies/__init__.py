"""Studies of one method: how its errors depend on a setting (capacity) and on the training data (bias, variance).

A study fits on `train` and is scored on the validation split, or on a hold-out of train; the test split is not used.
"""
