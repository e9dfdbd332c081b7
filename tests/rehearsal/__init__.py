"""A runner for the project's workflows: reads them from their YAML and carries their steps out as GitHub Actions does, on this machine."""
