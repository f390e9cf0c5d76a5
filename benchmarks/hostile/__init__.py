"""
Measure what hostile clients cost: CPU time and held memory for each byte that they send.

Run ``python -m benchmarks.hostile`` from the repository root. The tables show each input beside the honest use that it
is compared with. The rule: no input may cost more than ten times as much.
"""
