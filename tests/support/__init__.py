"""What tests share: homes to test in, a clock that stands still, jobs, and guards."""
