"""How wide the kernels are: rules, and the leave-one-out likelihood."""
