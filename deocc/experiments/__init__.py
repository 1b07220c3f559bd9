"""Training runs: presets, people, the registry of systems."""
