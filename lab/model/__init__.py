"""Values: failures, scenarios, evidence, and where runs are stored."""
