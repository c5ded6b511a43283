"""What does a call cost here: its operations, latency, memory and energy, and what the machine allows. Knows no layers."""
