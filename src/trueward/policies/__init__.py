"""What acts: language models, what they sample, and how probable they find a text; networks of control (`control/`);
flow policies (`flow/`).

The modules of this package need `trueward[train]`, except `model_files`, which looks at files without loading anything.
"""
