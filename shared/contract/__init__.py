"""What both services agree on: pure values and rules, without any input or output."""
