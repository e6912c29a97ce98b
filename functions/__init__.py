"""The Lambda functions: one folder, one trigger, one role."""
