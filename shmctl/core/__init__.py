"""The library: what shmctl does, without a word to the terminal."""
