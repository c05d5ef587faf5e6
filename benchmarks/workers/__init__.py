"""One side of the training benchmark a module; each runs in a process of its own."""
