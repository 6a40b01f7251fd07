"""Samples that hold labels, beside numbers or alone: of which columns, by which labels, and what follows of them."""
