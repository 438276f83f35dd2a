"""Everything that knows Ultralytics: its models, trainers, losses, validators, datasets and the names it keeps private.

No other room imports `ultralytics`. `names.py` lists every name that Ultralytics does not promise to keep.
"""
