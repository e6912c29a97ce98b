"""The proof by simulation: the project's own services on virtual time, with everything going wrong that can.

`python -m tests.simulation --seeds N` runs random histories; pytest runs a fixed set of them, every crash point
of every use case, and the mutants that show that all this can fail.
"""
