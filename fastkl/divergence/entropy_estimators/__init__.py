"""Estimators of the entropy of a sample: by columns and copula, by gaps, by neighbours; and rows that have none."""
