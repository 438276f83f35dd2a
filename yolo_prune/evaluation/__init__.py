"""What a model achieves: accuracy, latency, and whether its exports compute the same."""
