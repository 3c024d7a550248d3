"""A snapshot file, byte for byte: a pickle, its buffers, and the checksums over them."""
