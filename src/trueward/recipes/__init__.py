"""Published systems, one file each: arms, the claim as code, and the one function that does a run."""
