"""The parts of `registry`: list without importing, load one, probe in a child process."""
