"""What a distribution is: one descriptor and one kernel for each family."""
