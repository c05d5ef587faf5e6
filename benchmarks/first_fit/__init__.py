"""The same small fit as a whole program a library: 64-32-64, Adam, batches of 32, ten epochs.

Each file is run as a script, with the data's .npy file as its argument, and prints the last epoch's
mean loss.
"""
