"""The systems of tables 2 and 4 that complete masks, one file per system."""
