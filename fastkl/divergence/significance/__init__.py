"""Tests that two samples have one distribution, and bounds that hold whatever they are."""
