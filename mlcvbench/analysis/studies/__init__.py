"""Studies of one method: how its errors move with a setting (capacity), and with the training data (bias, variance).

A study fits on `train` and is scored on the validation split, or on a hold-out of train; the test split has no part
in it.
"""
