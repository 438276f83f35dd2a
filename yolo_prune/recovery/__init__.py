"""Winning back the accuracy that slimming cost: reconstruction, batch norms, fine-tuning, averaging."""
