"""How fast Tidegate is and what it costs: measured beside its peers, and counted where a cloud is to be paid."""
