"""The flags of the command line. Imports nothing heavy, so that `--help` answers at once."""
