"""Training of both stages: systems, losses, templates, and one loop."""
