"""What `_http` is made of: who carries a request, how a body is read within its limits, what a failure means."""
