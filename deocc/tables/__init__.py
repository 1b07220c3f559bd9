"""The tables of the paper: rows as data, runs, reports."""
