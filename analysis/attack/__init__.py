"""Attacks on the input of spiking networks."""
