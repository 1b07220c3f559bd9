"""The systems of tables 3, 5 and 6 that recover pixels, one file per system."""
