"""Measuring the latency profile of a device: small graphs of single layers, and whole models."""
