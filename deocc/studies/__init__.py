"""Measurements beside the paper's tables: ratio shift, uncertainty, metric pitfalls, speed."""
