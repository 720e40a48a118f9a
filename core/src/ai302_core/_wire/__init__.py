"""Requests and answers as a gateway writes them: built, read, and what their troubles mean."""
