"""Programs that measure: `make bench` prints one table; nothing here is a test, and no test is timed."""
