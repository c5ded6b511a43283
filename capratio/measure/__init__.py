"""What a call costs here: operations, latency, memory and energy, and what the machine allows. Knows no layers."""
