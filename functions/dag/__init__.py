"""The tasks of the state machine that supervises each run of a DAG."""
