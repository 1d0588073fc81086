"""The package holds the noise schedules and samplers, which do not depend on hands."""
