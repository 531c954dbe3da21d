"""The systems at the scale of public models: for each a trainer of an engine, ready to train."""
