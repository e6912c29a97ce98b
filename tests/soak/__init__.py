"""The promise over real processes: jobs and runs go through while server and workers are killed at random."""
