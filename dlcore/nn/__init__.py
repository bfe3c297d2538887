"""What networks are made of: adapters from Flax, activations, initializers, layers."""
