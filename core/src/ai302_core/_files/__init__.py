"""What happens to files: pictures given, results fetched, named, cut, written. See `downloads` for the flows."""
